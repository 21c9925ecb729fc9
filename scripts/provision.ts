import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ensurePrivateFolder, writePrivateFile } from '@hallpass/private-files'
import { exportPrivatePem, generateSigningKey } from '@hallpass/tokens'
import { ask } from './ask.ts'
import type { SuiteProcess } from './suite-builder.ts'

/** Time for three RSA keys on a machine that is starting eighteen processes. */
const CALL_TIMEOUT_MS = 60_000

/**
 * Creates service A's own signing key before the first start, so that scenarios 3 and 4 work as soon as service A answers.
 */
export async function provisionFiles(stateFolder: string): Promise<void> {
  const folder = join(stateFolder, 'scenario-3-keys')
  const file = join(folder, 'jwt-private.pem')
  if (existsSync(file)) return
  await ensurePrivateFolder(folder)
  await writePrivateFile(file, exportPrivatePem(await generateSigningKey('RS256')))
}

/**
 * Creates missing keys at jwt-factory, as the documented curl commands do: those of services A and B and of the token
 * cache. Saves them for the next start.
 */
export async function provision(processes: readonly SuiteProcess[]): Promise<void> {
  const factory = processes.find(({ name }) => name === 'jwt-factory')?.urls.PORT
  if (factory) await provisionFactory(factory)
}

async function provisionFactory(factory: string) {
  const present = JSON.parse(await call(`${factory}/utils/keys`)) as string[]
  const missing = ['servicea', 'serviceb', 'token-cache-auth'].filter((keyId) => !present.includes(keyId))
  if (missing.length === 0) return
  await Promise.all(missing.map((keyId) => call(`${factory}/keys/${keyId}`)))
  await call(`${factory}/utils/dump`, 'POST')
}

async function call(url: string, method = 'GET'): Promise<string> {
  const { status, text } = await ask(url, { method, timeoutMs: CALL_TIMEOUT_MS })
  if (status !== 200) throw new Error(`${method} ${url} answered ${status}: ${text}`)
  return text
}
