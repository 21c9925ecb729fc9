import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeWith } from '@hallpass/service-kit/testing'
import { parseCompact } from '@hallpass/tokens'
import { expect, it } from '@jest/globals'
import { callBackend, headline, statuses, testJourney } from './journey.ts'
import { useJourney } from './journey-system.ts'
import { Keycloak, keycloakProgram } from './keycloak.ts'

/** Each logs in twice at most. */
const TIMEOUT_MS = 30_000

describeWith(keycloakProgram, '.ci/install-peers providers')('the web UI with Keycloak', () => {
  const keycloak = new Keycloak()
  const system = useJourney(keycloak)
  const both = () => system.provider.users.both

  /** Logs in, and returns what both backends answer. */
  async function answers() {
    const page = await system.newPage()
    await system.logIn(page, both())
    return statuses(page)
  }

  testJourney(system)

  it(
    'accepts tokens that the client signs with PS512 or ES384',
    async () => {
      for (const algorithm of ['PS512', 'ES384']) {
        const restore = await keycloak.admin.changeClient({
          attributes: {
            'access.token.signed.response.alg': algorithm,
            'id.token.signed.response.alg': algorithm,
          },
        })
        try {
          await system.restartServices()
          expect(await answers()).toEqual(['200', '200'])
          const tokens = await system.tokens(both())
          expect(
            [tokens.access_token, tokens.id_token].map((token) => parseCompact(token).header.alg),
          ).toEqual([algorithm, algorithm])
        } finally {
          await restore()
        }
      }
    },
    TIMEOUT_MS,
  )

  it(
    'accepts access tokens with a nonce, and still no ID tokens',
    async () => {
      const remove = await keycloak.admin.addMapper('oidc-nonce-backwards-compatible-mapper', {})
      try {
        expect(await answers()).toEqual(['200', '200'])
        const { access_token, id_token } = await system.tokens(both())
        expect(parseCompact(access_token).payload).toHaveProperty('nonce')
        expect(await callBackend(system, access_token)).toEqual([200, ''])
        expect(await callBackend(system, id_token)).toEqual([401, 'invalid_token'])
      } finally {
        await remove()
      }
    },
    TIMEOUT_MS,
  )

  it(
    'accepts access tokens for the API and for account, and no ID token for both',
    async () => {
      const remove = await keycloak.admin.addMapper('oidc-audience-mapper', {
        'included.client.audience': 'account',
        'access.token.claim': 'true',
      })
      try {
        expect(await answers()).toEqual(['200', '200'])
        const { access_token } = await system.tokens(both())
        expect(parseCompact(access_token).payload.aud).toEqual(expect.arrayContaining(['account']))
      } finally {
        await remove()
      }
    },
    TIMEOUT_MS,
  )

  it(
    'rejects lightweight access tokens, which have no audience',
    async () => {
      const restore = await keycloak.admin.changeClient({
        attributes: { 'client.use.lightweight.access.token.enabled': 'true' },
      })
      try {
        expect(await answers()).toEqual(['401', '401'])
        const { access_token } = await system.tokens(both())
        expect(parseCompact(access_token).payload.aud).toBeUndefined()
      } finally {
        await restore()
      }
    },
    TIMEOUT_MS,
  )

  it(
    'keeps sessions when the old keys are disabled, and logs out with one click',
    async () => {
      await system.restartServices()
      const page = await system.newPage()
      await system.logIn(page, both())
      await keycloak.rotateKeys()
      await keycloak.disableOldKeys()
      // The renewed token has the new key.
      await sleep(system.provider.accessTokenSeconds * 1_000)
      await page.goto(`${system.urls.webUi}/`)
      expect(await headline(page)).toMatch(/^Hello, /)
      expect(await statuses(page)).toEqual(['200', '200'])
      await page.getByRole('button', { name: 'Log out' }).click()
      await page.waitForURL(`${system.urls.webUi}/`)
      await page.goto(`${system.urls.webUi}/login`)
      await system.provider.showsLogin(page)
    },
    TIMEOUT_MS,
  )

  it(
    'ends the session at the next renewal when the user is disabled',
    async () => {
      const page = await system.newPage()
      await system.logIn(page, both())
      const enable = await keycloak.admin.disableUser(both().login)
      try {
        await sleep(system.provider.accessTokenSeconds * 1_000)
        await page.goto(`${system.urls.webUi}/`)
        expect(await headline(page)).toBe('You are not logged in')
      } finally {
        await enable()
      }
    },
    TIMEOUT_MS,
  )

  it(
    'authenticates with the secret in the body, or with a signed assertion',
    async () => {
      await system.restartServices({ CLIENT_AUTH: 'client_secret_post' })
      expect(await answers()).toEqual(['200', '200'])
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const folder = await mkdtemp(join(tmpdir(), 'hallpass-client-key-'))
      const file = join(folder, 'client-key.pem')
      await writeFile(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
      const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'web-ui-1', use: 'sig', alg: 'ES256' }
      const restore = await keycloak.admin.changeClient({
        clientAuthenticatorType: 'client-jwt',
        attributes: { 'use.jwks.string': 'true', 'jwks.string': JSON.stringify({ keys: [jwk] }) },
      })
      try {
        await system.restartServices({
          CLIENT_AUTH: 'private_key_jwt',
          AUTH0_SECRET: '',
          CLIENT_KEY_FILE: file,
          CLIENT_KEY_ALGORITHM: 'ES256',
          CLIENT_KEY_ID: jwk.kid,
        })
        expect(await answers()).toEqual(['200', '200'])
      } finally {
        await restore()
        await rm(folder, { recursive: true })
      }
    },
    TIMEOUT_MS,
  )
})
