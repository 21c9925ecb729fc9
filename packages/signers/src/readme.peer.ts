import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { describeWithMoto, describeWithSoftHsm } from './testing/describe-with.ts'
import { MOTO_CREDENTIALS, Moto } from './testing/moto.ts'
import { peerEnvironment } from './testing/peers.ts'
import { SoftHsm } from './testing/softhsm.ts'

const page = readFileSync(join(import.meta.dirname, '../../../jwt-factory/README.md'), 'utf8')
const blocks = [...page.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block as string)
const START = 'npm run jwt-factory'
const SCRIPT = join(import.meta.dirname, 'testing/run-configured.ts')

/** Runs a block of the factory's README, with a script in place of the factory that makes a key and signs a token. */
function execute(mark: string, environment: Readonly<Record<string, string>>): string[] {
  const block = blocks.find((text) => text.includes(mark) && text.includes(START)) ?? ''
  const script = `"${process.execPath}" --no-warnings --import "${import.meta.resolve('tsx')}" "${SCRIPT}"`
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-readme-'))
  try {
    const output = execFileSync('bash', ['-ec', block.replace(START, script)], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, ...peerEnvironment, ...environment },
    })
    return output.trim().split('\n').slice(-2)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describeWithSoftHsm()('the README of the factory', () => {
  let hsm: SoftHsm
  beforeAll(async () => {
    hsm = await SoftHsm.create('another')
  })
  afterAll(() => hsm.remove())

  it('makes a token and keeps keys in it', () => {
    const [reference, token] = execute('softhsm2-util', { SOFTHSM2_CONF: hsm.configFile })
    expect(reference).toMatch(/^pkcs11:token=hallpass;object=servicea-[\w-]{22};/)
    expect(token).toMatch(/^ey[\w-]+\.[\w-]+\.[\w-]+$/)
  })
})

describeWithMoto()('the README of the factory', () => {
  let moto: Moto
  beforeAll(async () => {
    moto = await Moto.start()
  }, 60_000)
  afterAll(() => moto.kill())

  it('keeps keys in AWS KMS', () => {
    const { endpoint = '' } = moto.options
    const [reference, token] = execute('SIGNER=aws-kms', { ...MOTO_CREDENTIALS, KMS_ENDPOINT: endpoint })
    expect(reference).toMatch(/^arn:aws:kms:eu-central-1:\d{12}:key\/[\w-]+$/)
    expect(token).toMatch(/^ey[\w-]+\.[\w-]+\.[\w-]+$/)
  })
})
