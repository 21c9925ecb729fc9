import { libraryNamed } from '@hallpass/tokens'

/** An environment variable that services inherit is invalid. */
export class EnvironmentUnusable extends Error {
  override readonly name = 'EnvironmentUnusable'
}

/**
 * Checks the variables that several services inherit before any service starts. Each service checks them again, because it
 * can run without a launcher.
 * @throws {EnvironmentUnusable}
 */
export function requireEnvironment(env: Readonly<Record<string, string | undefined>>): void {
  const { TOKEN_LIBRARY: library, REDIS_URL: redis } = env
  const problems: string[] = []
  try {
    // The default algorithm of all scenarios.
    if (library) libraryNamed(library, ['RS256'])
  } catch (error) {
    problems.push(`TOKEN_LIBRARY: ${(error as Error).message}`)
  }
  if (redis && !(URL.canParse(redis) && /^rediss?:$/.test(new URL(redis).protocol)))
    problems.push('REDIS_URL must be a redis or rediss URL, e.g. redis://localhost:6379')
  if (problems.length > 0) throw new EnvironmentUnusable(problems.join('\n'))
}
