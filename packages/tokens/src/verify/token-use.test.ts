import { describe, expect, it } from '@jest/globals'
import { accessTokenUse, anySubject, staticKeys, type TokenUse, verifyToken } from '../index.ts'
import { forgeToken, testKey } from '../testing.ts'

const NOW = 1_800_000_000
const key = testKey('RS256', 'provider')
/** What every token of an OpenID provider has; the API is named like the client. */
const common = { iss: 'https://idp', aud: 'web-ui', sub: 'ada', iat: NOW, exp: NOW + 300 }

const refusalOf = (tokenUse: TokenUse, claims: object, typ?: string) =>
  verifyToken(
    forgeToken({
      header: { alg: 'RS256', kid: key.kid, typ },
      claims: { ...common, ...claims },
      key,
      alg: 'RS256',
    }),
    {
      issuer: common.iss,
      audience: common.aud,
      subject: anySubject,
      keys: staticKeys(common.iss, [key]),
      maxLifetimeSeconds: 300,
      clock: () => NOW * 1000,
      tokenUse,
    },
  ).then(
    () => 'accepted',
    ({ reason, message, checks }) => `${reason}: ${message} (${checks.at(-1).detail})`,
  )

/** As the providers issue them. */
const idTokens: [string, object, string?][] = [
  ['of a login', { nonce: 'n', at_hash: 'h' }],
  ['of a refresh at Spring', { azp: 'web-ui', auth_time: NOW, sid: 's' }],
  ['of Keycloak', { typ: 'ID', azp: 'web-ui', at_hash: 'h', sid: 's' }, 'JWT'],
  ['of a refresh at Keycloak', { typ: 'ID', azp: 'web-ui', sid: 's' }, 'JWT'],
  ['of Amazon Cognito', { token_use: 'id', auth_time: NOW }],
  ['of Entra', { nonce: 'n', preferred_username: 'ada', tid: 't', ver: '2.0' }, 'JWT'],
  ['with empty scopes', { scope: '', scp: [] }],
  ['with a c_hash', { c_hash: 'h' }],
]
const accessTokens: [string, object, string?][] = [
  ['of RFC 9068', { client_id: 'web-ui' }, 'at+jwt'],
  ['of RFC 9068, with the long media type', { client_id: 'web-ui', nonce: 'n' }, 'application/AT+jwt'],
  ['of Spring', { scope: ['read:data'] }],
  ['of Keycloak', { typ: 'Bearer', azp: 'web-ui', scope: 'openid profile' }, 'JWT'],
  ['of Keycloak with a nonce', { typ: 'Bearer', azp: 'web-ui', scope: 'openid', nonce: 'n' }, 'JWT'],
  ['of mock-oauth2-server, with a scope', { nonce: 'n', scope: 'read:data' }, 'JWT'],
  ['of Auth0', { azp: 'web-ui', scope: 'openid read:data' }, 'JWT'],
  ['of Okta', { cid: 'web-ui', scp: ['read:data'] }],
  ['of Entra', { azp: 'web-ui', scp: 'read', ver: '2.0' }, 'JWT'],
]

describe('the use of a token', () => {
  it.each(idTokens)('scoped rejects an ID token %s', async (_, claims, ...[typ]) => {
    await expect(refusalOf('scoped', claims, typ)).resolves.toMatch(
      /^use_not_allowed: jwt is not an access token \(/,
    )
  })

  it.each(idTokens)('id accepts an ID token %s', async (name, claims, ...[typ]) => {
    const expected = name === 'with empty scopes' ? /^use_not_allowed/ : /^accepted$/
    await expect(refusalOf('id', claims, typ)).resolves.toMatch(expected)
  })

  it.each(accessTokens)('scoped accepts an access token %s', async (_, claims, ...[typ]) => {
    await expect(refusalOf('scoped', claims, typ)).resolves.toBe('accepted')
  })

  it.each(accessTokens)('id rejects an access token %s', async (_, claims, ...[typ]) => {
    await expect(refusalOf('id', claims, typ)).resolves.toMatch(
      /^use_not_allowed: jwt is not an id token \(has /,
    )
  })

  it.each([
    ['a logout token', { events: {}, scope: 'read:data' }, 'has the claim events'],
    ['a refresh token of Keycloak', { typ: 'Refresh', scope: 'openid' }, 'has the typ Refresh'],
    ['an ID token with a scope', { at_hash: 'h', scope: 'openid' }, 'has the claim at_hash'],
    [
      'a scope that is no text',
      { scope: { read: true }, scp: [1] },
      'its typ is not at+jwt, and it has no scope',
    ],
    ['a scope of spaces', { scope: '  ' }, 'its typ is not at+jwt, and it has no scope'],
  ])('scoped rejects %s', async (_, claims, detail) => {
    await expect(refusalOf('scoped', claims)).resolves.toBe(
      `use_not_allowed: jwt is not an access token (${detail})`,
    )
  })

  it('at+jwt accepts only this type', async () => {
    await expect(refusalOf('at+jwt', {}, 'at+jwt')).resolves.toBe('accepted')
    await expect(refusalOf('at+jwt', { scope: 'read:data' }, 'JWT')).resolves.toBe(
      'use_not_allowed: jwt is not an access token (its typ is not at+jwt)',
    )
  })

  it('a claim decides where the provider marks its access tokens', async () => {
    const use = accessTokenUse('typ=Bearer')
    await expect(refusalOf(use, { typ: 'Bearer' })).resolves.toBe('accepted')
    await expect(refusalOf(use, {}, 'at+jwt')).resolves.toBe('accepted')
    for (const claims of [{}, { typ: 'bearer' }, { typ: ['Bearer'] }, { scope: 'read:data' }])
      await expect(refusalOf(use, claims)).resolves.toBe(
        'use_not_allowed: jwt is not an access token (typ is not Bearer)',
      )
    await expect(refusalOf(use, { typ: 'Bearer', at_hash: 'h' })).resolves.toBe(
      'use_not_allowed: jwt is not an access token (has the claim at_hash)',
    )
  })

  it.each(['at+jwt', undefined])(
    'a token of typ %s that is bound to a key is no bearer token',
    async (typ) => {
      for (const cnf of [{ jkt: 'thumbprint' }, { 'x5t#S256': 'thumbprint' }, {}])
        await expect(refusalOf('scoped', { scope: 'read:data', cnf }, typ)).resolves.toBe(
          'use_not_allowed: jwt is not a bearer token (has the claim cnf)',
        )
    },
  )

  it('any accepts both', async () => {
    await expect(refusalOf('any', { nonce: 'n', at_hash: 'h' })).resolves.toBe('accepted')
    await expect(refusalOf('any', { scope: 'read:data' })).resolves.toBe('accepted')
  })

  it('reads a configuration', () => {
    expect(accessTokenUse('scoped')).toBe('scoped')
    expect(accessTokenUse('token_use=access')).toEqual({ claim: 'token_use', value: 'access' })
    expect(accessTokenUse('https://example.com/kind=a=b')).toEqual({
      claim: 'https://example.com/kind',
      value: 'a=b',
    })
    for (const text of ['', 'id', 'Scoped', '=Bearer', 'typ=', 'typ Bearer', 'scoped,idtyp=app'])
      expect(() => accessTokenUse(text)).toThrow(
        new TypeError('must be at+jwt, scoped, any, or a claim and its value such as typ=Bearer'),
      )
  })
})
