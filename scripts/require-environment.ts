import { libraryNamed } from '@hallpass/tokens'

/** A variable of the environment that services inherit, and would end the start once others are up. */
export class EnvironmentUnusable extends Error {
  override readonly name = 'EnvironmentUnusable'
}

/**
 * Checks the variables that several services inherit, before the first of them is started. Each service checks them
 * again, since it runs without a launcher as well.
 * @throws {EnvironmentUnusable}
 */
export function requireEnvironment(env: Readonly<Record<string, string | undefined>>): void {
  const { TOKEN_LIBRARY: library, REDIS_URL: redis } = env
  const problems: string[] = []
  try {
    // What all scenarios sign with by default.
    if (library) libraryNamed(library, ['RS256'])
  } catch (error) {
    problems.push(`TOKEN_LIBRARY: ${(error as Error).message}`)
  }
  if (redis && !(URL.canParse(redis) && /^rediss?:$/.test(new URL(redis).protocol)))
    problems.push('REDIS_URL must be a redis or rediss URL, e.g. redis://localhost:6379')
  if (problems.length > 0) throw new EnvironmentUnusable(problems.join('\n'))
}
