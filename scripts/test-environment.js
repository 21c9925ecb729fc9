/** Variables of a terminal or CI that change what programs print, or how Node and npm run. */
const OF_THE_CALLER = [
  /^(FORCE_COLOR|NODE_DISABLE_COLORS|COLORTERM|CLICOLOR|CLICOLOR_FORCE|TERM|DEBUG)$/,
  /^(LC_.*|LANGUAGE)$/,
  /^(NODE_OPTIONS|NODE_NO_WARNINGS|NODE_PENDING_DEPRECATION|NODE_V8_COVERAGE)$/,
  /^(GITHUB_|RUNNER_)/,
  // Keeps where npm finds packages, which depends on the machine; the rest comes from the command that runs the tests.
  /^npm_(?!config_(registry|cache|userconfig|globalconfig|prefix|offline|prefer_offline|.*:_auth)$)/i,
]

/**
 * Removes from this process what child processes of tests must not inherit, so that every child prints the same from a
 * terminal, in a pipe and in CI. Jest itself sets `FORCE_COLOR` in its workers.
 */
export function useTestEnvironment(env = process.env) {
  for (const name of Object.keys(env))
    if (OF_THE_CALLER.some((pattern) => pattern.test(name))) delete env[name]
  env.LANG = 'C.UTF-8'
  // `CI` stays, because it decides which programs must be installed, but some programs print colors because of it.
  env.NO_COLOR = '1'
}
