import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { useScenarioServices } from '../testing.ts'

describe('POST /gen-keys', () => {
  const services = useScenarioServices({ keys: false })
  const folder = () => join(services.stateFolder, 'scenario-3-keys')
  const kids = async () =>
    JSON.parse(await readFile(join(folder(), 'jwks.json'), 'utf8')).keys.map(
      ({ kid }: { kid: string }) => kid,
    )

  it('writes the private key readable only by A, and public keys for all, and returns the folder', async () => {
    await services.post('service-a', '/gen-keys').expect(200, { folder: folder() })
    expect((await readdir(folder())).sort()).toEqual(['jwks.json', 'jwt-private.pem', 'jwt-public.pem'])
    expect((await stat(join(folder(), 'jwt-private.pem'))).mode & 0o777).toBe(0o600)
    expect(await readFile(join(folder(), 'jwt-public.pem'), 'utf8')).toMatch(/^-----BEGIN PUBLIC KEY-----/)
    expect(await readFile(join(folder(), 'jwks.json'), 'utf8')).not.toContain('"d"')
  })

  it('creates keys with ?missing=1 only if there are none', async () => {
    const before = await kids()
    await services.post('service-a', '/gen-keys?missing=1').expect(200)
    expect(await kids()).toEqual(before)
  })

  it('rotates, and keeps the previous public key for unexpired tokens', async () => {
    const before = await kids()
    await services.post('service-a', '/gen-keys').expect(200)
    expect(await kids()).toEqual([expect.any(String), ...before])
    const { body } = await services.get('service-a', '/keys').expect(200)
    const states = body.keys.map(({ state }: { state: string }) => state)
    expect(states).toEqual(['signing', ...before.map(() => 'retired')])
    expect(JSON.stringify(body)).not.toContain('PRIVATE')
  })

  it('rejects no valid call while keys rotate', async () => {
    let rotating = true
    const rotations = (async () => {
      for (let round = 0; round < 3; round += 1) await services.post('service-a', '/gen-keys').expect(200)
      rotating = false
    })()
    const outcomes: boolean[] = []
    while (rotating) {
      const [three, four] = await Promise.all(
        ['/scenario3', '/scenario4'].map((path) => services.get('service-a', path)),
      )
      outcomes.push(three?.body.valid, four?.body.serviceB.valid, four?.body.serviceC.valid)
    }
    await rotations
    expect(outcomes.length).toBeGreaterThan(3)
    expect(outcomes.every(Boolean)).toBe(true)
  })

  it('accepts only POST', async () => {
    await services.get('service-a', '/gen-keys').expect(405).expect('allow', 'POST')
  })

  it('rejects pages of other sites', async () => {
    const before = await kids()
    const { status, body } = await services
      .post('service-a', '/gen-keys')
      .set('origin', 'https://evil.example')
    expect([status, body.error.code]).toEqual([403, 'foreign_origin'])
    expect(await kids()).toEqual(before)
  })
})
