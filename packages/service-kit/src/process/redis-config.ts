import { readFileSync } from 'node:fs'
import type { VariableReader } from './config.ts'
import { plainRedisProblem } from './transport.ts'

/** Where shared state is stored, and how to connect to it. */
export interface RedisConfig {
  /** `redis://`, `rediss://` (TLS), or the Sentinel and cluster forms; with the password. */
  readonly url: string
  /** PEM of the only CA that is trusted for TLS. Default: the system's CAs. */
  readonly ca?: string
}

/** A single server, or one of the forms that `@hallpass/token-store` knows besides. */
const REDIS_URL = { single: /^rediss?:\/\//, any: /^rediss?(-sentinel|-cluster)?:\/\// }

/**
 * Reads `REDIS_URL`, `REDIS_PASSWORD_FILE` and `REDIS_CA_FILE`. The password is in a file so that it does not show in the
 * environment, which other programs of the same user and crash reports can read.
 * @returns `undefined` without `REDIS_URL`
 */
export function redisConfig(
  variables: VariableReader,
  { forms = 'single' as keyof typeof REDIS_URL } = {},
): RedisConfig | undefined {
  const given = variables.optionalText('REDIS_URL')
  if (given === undefined) return undefined
  if (!REDIS_URL[forms].test(given)) {
    variables.require(
      false,
      forms === 'any'
        ? 'REDIS_URL must be redis://, redis-sentinel:// or redis-cluster:// (or rediss…:// for TLS)'
        : 'REDIS_URL must be a redis or rediss URL',
    )
    return undefined
  }
  const password = fileText(variables, 'REDIS_PASSWORD_FILE')?.trim()
  variables.require(
    password === undefined || (password !== '' && !given.includes('@')),
    'REDIS_PASSWORD_FILE must contain the password, and REDIS_URL none',
  )
  const url = password ? given.replace('://', `://:${encodeURIComponent(password)}@`) : given
  const problem = variables.requiresTls ? plainRedisProblem(url) : undefined
  if (problem) variables.problems.push(`REDIS_URL ${problem}`)
  const ca = fileText(variables, 'REDIS_CA_FILE')
  return { url, ...(ca === undefined ? {} : { ca }) }
}

/**
 * Reads where a service keeps what its replicas share: `REDIS_URL` (with `REDIS_PASSWORD_FILE`, `REDIS_CA_FILE`), else the
 * folder of an embedded store, `STORE_FOLDER`.
 * @param folder the default of `STORE_FOLDER`.
 */
export const storeConfig = (variables: VariableReader, folder: string) => ({
  redis: redisConfig(variables, { forms: 'any' }),
  storeFolder: variables.text('STORE_FOLDER', folder),
})

function fileText(variables: VariableReader, name: string): string | undefined {
  const file = variables.optionalText(name)
  return file === undefined ? undefined : variables.parsed(name, '', () => readFileSync(file, 'utf8'))
}
