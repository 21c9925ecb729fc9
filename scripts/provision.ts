import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { SuiteProcess } from './suite.ts'

/**
 * Does what the documented curl commands do before the first scenario, where it has not been done: the keys of
 * services A and B and of the token cache at the factory, saved for the next start, and the key with which service A signs for itself.
 */
export async function provision(processes: readonly SuiteProcess[], stateFolder: string): Promise<void> {
  const url = (name: string) => processes.find((service) => service.name === name)?.urls.PORT
  const factory = url('jwt-factory')
  const serviceA = url('service-a')
  const work: Promise<void>[] = []
  if (factory) work.push(provisionFactory(factory))
  if (serviceA && !existsSync(join(stateFolder, 'scenario-3-keys/jwt-private.pem')))
    work.push(call(`${serviceA}/gen-keys`, 'POST').then(() => {}))
  await Promise.all(work)
}

async function provisionFactory(factory: string) {
  const present = (await (await call(`${factory}/utils/keys`)).json()) as string[]
  const missing = ['servicea', 'serviceb', 'token-cache-auth'].filter((keyId) => !present.includes(keyId))
  if (missing.length === 0) return
  await Promise.all(missing.map((keyId) => call(`${factory}/keys/${keyId}`)))
  await call(`${factory}/utils/dump`, 'POST')
}

async function call(url: string, method = 'GET'): Promise<Response> {
  const response = await fetch(url, { method })
  if (!response.ok) throw new Error(`${method} ${url} answered ${response.status}: ${await response.text()}`)
  return response
}
