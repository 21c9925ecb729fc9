import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { quoted } from '@hallpass/private-files'
import { describeWith } from '@hallpass/service-kit/testing'
import { exportPrivatePem, parseCompact } from '@hallpass/tokens'
import { beforeAll, expect, it } from '@jest/globals'
import { useFactory } from '../testing.ts'
import { clientKeys, useOAuthServer } from './testing.ts'

const root = join(import.meta.dirname, '../../..')
const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')
const section = /\n## Standard clients\n([\s\S]*?)\n## /.exec(readme)?.[1] ?? ''
const [script = '', withAssertion = '', withCertificate = '', ...more] = [
  ...section.matchAll(/```(?:js)?\n([\s\S]*?)\n```/g),
].map(([, block]) => block)
const inDevelopment = /`(curl [^`]+\/token)`/.exec(readme)?.[1] ?? ''
/** The first command bundles the command-line program. */
const TIMEOUT_MS = 60_000

describeWith('curl', 'apt install curl')('the README’s section about standard clients', () => {
  const server = useOAuthServer()
  const open = useFactory()

  beforeAll(async () => {
    const write = (name: string, text: string) =>
      writeFile(join(server.folder(), name), text, { mode: 0o600 })
    await write('servicea.pem', exportPrivatePem(clientKeys.servicea))
    await write('batch.pem', server.certificates.batch.cert)
    await write('batch.key', server.certificates.batch.key)
    await write('client.mjs', script.replaceAll('https://factory.example/', server.issuer()))
    await symlink(join(root, 'node_modules'), join(server.folder(), 'node_modules'))
  })

  async function run(command: string): Promise<string> {
    const here = command
      .replaceAll('https://factory.example/', server.issuer())
      .replaceAll('localhost:5555', open.url())
      .replaceAll('npx hallpass', `node ${quoted(join(root, 'cli/bin/hallpass.js'))}`)
    const ca = join(server.folder(), 'servers.pem')
    const { stdout } = await promisify(execFile)('sh', ['-c', here], {
      cwd: server.folder(),
      env: { ...process.env, NODE_EXTRA_CA_CERTS: ca, CURL_CA_BUNDLE: ca },
    })
    return stdout
  }
  const tokenIn = (answer: string) => {
    const { access_token: token } = JSON.parse(answer)
    expect(answer).toContain('"token_type":"Bearer"')
    return parseCompact(token).payload
  }

  it('has a script of openid-client that gets, introspects and revokes a token', async () => {
    expect(await run('node client.mjs')).toMatch(/scope: 'orders:read',\s+active: true/)
  })

  it(
    'has commands that get a token with an assertion, with a certificate and in development mode',
    async () => {
      expect(more).toEqual([])
      expect(tokenIn(await run(withAssertion))).toMatchObject({ sub: 'servicea', aud: 'serviceb' })
      expect(tokenIn(await run(withCertificate))).toMatchObject({ sub: 'batch', aud: 'serviceb' })
      await open.get('/keys/servicea')
      expect(tokenIn(await run(inDevelopment))).toMatchObject({ sub: 'servicea', aud: 'serviceb' })
    },
    TIMEOUT_MS,
  )
})
