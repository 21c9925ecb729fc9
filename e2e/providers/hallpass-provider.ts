import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ServiceProcess } from '../service-process.ts'
import type { Provider, ProviderUser } from './provider.ts'

const AUDIENCE = 'https://webui'
const SECRET = 'client-secret-of-the-web-ui'
const ACCESS_TOKEN_SECONDS = 8

/** The suite's own identity provider, which proves that the journey works. */
export const hallpassProvider: Provider = {
  name: 'the suite’s identity provider',
  lacks: {},
  async start({ webUiUrl, publicPort, port }) {
    const folder = await mkdtemp(join(tmpdir(), 'hallpass-identity-provider-'))
    const secretFile = join(folder, 'client-secret')
    const keysFile = join(folder, 'keys.json')
    await writeFile(secretFile, SECRET, { mode: 0o600 })
    const issuer = `http://localhost:${publicPort}`
    const service = new ServiceProcess('identity-provider', port, {
      HOST: '127.0.0.1',
      PORT: `${port}`,
      DRAIN_DELAY_MS: '0',
      STATE_FOLDER: folder,
      ISSUER: issuer,
      WEB_UI_URL: webUiUrl,
      AUDIENCE,
      CLIENT_SECRET_FILE: secretFile,
      KEYS_FILE: keysFile,
      ACCESS_TOKEN_TTL_S: `${ACCESS_TOKEN_SECONDS}`,
      ASSETS_FOLDER: join(import.meta.dirname, '../../.hallpass/bundles/web-ui-public'),
    })
    await service.start()
    const users: Record<'both' | 'onlyData', ProviderUser> = {
      both: { login: 'ada', password: '', name: 'Ada Okafor' },
      onlyData: { login: 'ben', password: '', name: 'Ben Ruiz' },
    }
    return {
      issuer,
      accessTokenSeconds: ACCESS_TOKEN_SECONDS,
      users,
      webUi: {
        ISSUER_BASE_URL: issuer,
        AUTH0_CLIENT_ID: 'web-ui',
        AUTH0_SECRET: SECRET,
        RESOURCE: AUDIENCE,
        SCOPE: 'openid profile email offline_access read:data read:data2',
      },
      backend: { ISSUER: issuer, AUDIENCE, TOKEN_USE: 'at+jwt' },
      logIn: (page, { name }) => page.getByRole('button', { name: new RegExp(name) }).click(),
      showsLogin: (page) => page.getByRole('heading', { name: 'Choose a user' }).waitFor(),
      async rotateKeys() {
        const { keys } = JSON.parse(await readFile(keysFile, 'utf8')) as { keys: object[] }
        const { privateKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 2048 })
        const { privateKey: ec } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
        const add = (key: typeof rsa, alg: string) => ({
          ...key.export({ format: 'jwk' }),
          kid: randomUUID(),
          alg,
          use: 'sig',
        })
        await writeFile(keysFile, JSON.stringify({ keys: [add(rsa, 'RS256'), add(ec, 'ES256'), ...keys] }))
        await service.kill('SIGTERM')
        await service.start()
      },
      async endSessions(_user, page) {
        await page.goto(`${issuer}/session/end`)
        await page.getByRole('button', { name: 'Log out' }).click()
        await page.waitForLoadState()
      },
      async stop() {
        await service.kill()
        await rm(folder, { recursive: true, force: true })
      },
    }
  },
}
