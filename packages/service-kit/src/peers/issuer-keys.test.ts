import { describe, expect, it } from '@jest/globals'
import { httpService } from '../http/http-service.ts'
import { silentLog } from '../observation/log.ts'
import { developmentConfig, useService } from '../testing.ts'
import { issuerKeys } from './issuer-keys.ts'

describe('issuerKeys', () => {
  const answers = { issuer: '', jwks_uri: '' }
  const provider = useService(() =>
    httpService({
      name: 'issuer',
      log: silentLog,
      config: developmentConfig,
      listeners: [{ name: 'http', host: '127.0.0.1', port: 0 }],
      routes: (routes) => {
        routes.get('/.well-known/openid-configuration', (_request, response) => void response.json(answers))
        routes.get('/keys', (_request, response) => void response.json({ keys: [] }))
        routes.get('/set', (request, response) => {
          const { kid } = request.query
          if (kid === 'gone') response.status(404).json({ error: { code: 'key_not_found' } })
          else if (kid === 'failing') response.status(503).json({})
          else response.json({ keys: [], kid })
        })
        routes.get('/moved', (_request, response) => response.redirect('/keys'))
      },
    }),
  )

  it('follows the discovery document to the keys', async () => {
    Object.assign(answers, { issuer: provider.url(), jwks_uri: `${provider.url()}/keys` })
    await expect(issuerKeys({ issuer: provider.url() }).load()).resolves.toEqual({ keys: [] })
  })

  it('loads a configured JWKS directly', async () => {
    const { load } = issuerKeys({ issuer: 'https://elsewhere.example/', jwksUrl: `${provider.url()}/keys` })
    await expect(load()).rejects.toMatchObject({
      status: 502,
      code: 'peer_not_trusted',
      message: `issuer at ${provider.url()} is not trusted (${provider.url()}/keys is not an https URL).`,
    })
    await expect(
      issuerKeys({ issuer: 'http://elsewhere.example', jwksUrl: `${provider.url()}/keys` }).load(),
    ).resolves.toEqual({ keys: [] })
  })

  it('rejects the keys if the discovery document has another issuer', async () => {
    Object.assign(answers, { issuer: 'http://mallory.example', jwks_uri: `${provider.url()}/keys` })
    await expect(issuerKeys({ issuer: provider.url() }).load()).rejects.toMatchObject({
      code: 'peer_unexpected_answer',
      message: expect.stringContaining('its discovery document has the issuer "http://mallory.example"'),
    })
  })

  it('rejects keys that an issuer on this machine publishes unencrypted on another', async () => {
    const jwksUri = 'http://keys.example/keys'
    Object.assign(answers, { issuer: provider.url(), jwks_uri: jwksUri })
    await expect(issuerKeys({ issuer: provider.url() }).load()).rejects.toMatchObject({
      status: 502,
      code: 'peer_not_trusted',
      message: `issuer at http://keys.example is not trusted (${jwksUri} is not an https URL).`,
    })
  })

  it('sends a token only to a server whose CA is configured, and only over TLS', async () => {
    const token = async () => 'secret'
    expect(() => issuerKeys({ issuer: provider.url(), token })).toThrow(
      'A token for the issuer needs the CA of the issuer.',
    )
    await expect(
      issuerKeys({ issuer: provider.url(), jwksUrl: `${provider.url()}/keys`, ca: 'none', token }).load(),
    ).rejects.toMatchObject({ code: 'peer_not_trusted' })
  })

  it('loads one key of a JWKS whose URL is a template', async () => {
    for (const end of ['{?kid}', '%7B?kid}', '%7B?kid%7D']) {
      const { load, loadKey } = issuerKeys({
        issuer: 'http://a.example',
        jwksUrl: `${provider.url()}/set${end}`,
      })
      await expect(load()).resolves.toEqual({ keys: [] })
      await expect(loadKey?.('a b')).resolves.toEqual({ keys: [], kid: 'a b' })
      await expect(loadKey?.('gone')).resolves.toBeUndefined()
      await expect(loadKey?.('failing')).rejects.toMatchObject({ code: 'peer_unexpected_answer' })
    }
    expect(
      issuerKeys({ issuer: 'http://a.example', jwksUrl: `${provider.url()}/set` }).loadKey,
    ).toBeUndefined()
  })

  it('does not follow redirects', async () => {
    Object.assign(answers, { issuer: provider.url(), jwks_uri: `${provider.url()}/moved` })
    await expect(issuerKeys({ issuer: provider.url() }).load()).rejects.toMatchObject({
      message: expect.stringContaining('issuer answered 302'),
    })
  })

  it('reports an unreachable issuer', async () => {
    await expect(issuerKeys({ issuer: 'http://localhost:1' }).load()).rejects.toMatchObject({
      status: 502,
      code: 'peer_unreachable',
    })
  })
})
