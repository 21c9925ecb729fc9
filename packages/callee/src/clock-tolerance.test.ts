import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { Agent, get } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HttpError, type Service, silentLog } from '@hallpass/service-kit'
import { ManualClock } from '@hallpass/service-kit/testing'
import { publicJwks, signToken } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { createCallee } from './callee.ts'
import { calleeConfig } from './config.ts'

const clock = new ManualClock()
const key = testKey('RS256', 'caller')
let folder: string
const running: Service[] = []
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'callee-'))
  await writeFile(join(folder, 'jwks.json'), JSON.stringify(publicJwks([key])))
})
afterAll(async () => {
  await Promise.all(running.map((service) => service.stop()))
  await rm(folder, { recursive: true })
})

const notCalled = () => Promise.reject(new Error('the issuer is not called'))

/** Starts a callee of one caller; returns the status for a token. */
async function callee(env: Record<string, string> = {}) {
  const service = createCallee(
    {
      name: 'callee',
      caller: {
        issuer: 'caller',
        subject: 'caller',
        maxTokenLifetimeSeconds: 60,
        keySetFile: (stateFolder) => join(stateFolder, 'jwks.json'),
        keysMissing: () => new HttpError(503, 'keys_missing', 'no keys'),
      },
      issuerClient: () => ({ verify: notCalled, jwks: notCalled, statusList: notCalled }),
    },
    calleeConfig({ audience: 'callee', http: 0, https: 0 })({ STATE_FOLDER: folder, ...env }),
    silentLog,
    clock.now,
  )
  running.push(service)
  const { https } = await service.start()
  const agent = new Agent({ ca: await readFile(join(folder, 'certificates/ca.pem')) })
  return (token: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}` }
      get(`${https}/scenario3-server`, { agent, headers }, (response) => {
        response.resume()
        resolve(response.statusCode)
      }).on('error', reject)
    })
}

it('accepts tokens of a caller whose clock is 2 s ahead or behind, as CLOCK_TOLERANCE_SECONDS allows', async () => {
  const signedAt = (skewMs: number, lifetimeSeconds: number) =>
    signToken({ iss: 'caller', sub: 'caller', aud: 'callee' }, key, {
      lifetimeSeconds,
      clock: () => clock.now() + skewMs,
    })
  const [tolerant, strict] = [await callee(), await callee({ CLOCK_TOLERANCE_SECONDS: '0' })]
  for (const token of [await signedAt(2_000, 60), await signedAt(-2_000, 1)]) {
    expect(await tolerant(token)).toBe(200)
    expect(await strict(token)).toBe(401)
  }
})
