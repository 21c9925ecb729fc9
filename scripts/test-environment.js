/** Variables of a terminal or a CI that change what programs print, or how Node and npm run. */
const OF_THE_CALLER = [
  /^(FORCE_COLOR|NODE_DISABLE_COLORS|COLORTERM|CLICOLOR|CLICOLOR_FORCE|TERM|DEBUG)$/,
  /^(LC_.*|LANGUAGE)$/,
  /^(NODE_OPTIONS|NODE_NO_WARNINGS|NODE_PENDING_DEPRECATION|NODE_V8_COVERAGE)$/,
  /^(GITHUB_|RUNNER_)/,
  // Where npm finds packages is of the machine; the rest is of the command that runs the tests.
  /^npm_(?!config_(registry|cache|userconfig|globalconfig|prefix|offline|prefer_offline|.*:_auth)$)/i,
]

/**
 * Takes out of this process what a test's child process must not inherit, so that every child prints the same from a
 * terminal, in a pipe and on a CI. Jest itself sets `FORCE_COLOR` in its workers.
 */
export function useTestEnvironment(env = process.env) {
  for (const name of Object.keys(env))
    if (OF_THE_CALLER.some((pattern) => pattern.test(name))) delete env[name]
  env.LANG = 'C.UTF-8'
  // `CI` stays, which says what must be installed; some programs take it as a reason to print colours.
  env.NO_COLOR = '1'
}
