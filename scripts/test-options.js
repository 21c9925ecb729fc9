import { parseArgs } from 'node:util'

export const HELP = `npm test: run lint, types, dead code and all tests

  npm test                          everything
  npm test -- --only lint,types     some steps: lint, types, dead-code, tests
  npm test -- sse-gateway           the tests whose path contains this word
  npm test -- -t AL-18 attacks      of these, the tests whose name matches (--testNamePattern)
  npm run test:peers                interop tests with Go, SPIRE, Envoy, nginx, …
  npm run test:containers           tests of the compose file, on a Docker engine

Exit codes: 0 all passed, 1 a check failed or no test matched, 2 unknown option or step.`

const OPTIONS = {
  only: { type: 'string', multiple: true },
  peers: { type: 'boolean' },
  containers: { type: 'boolean' },
  testNamePattern: { type: 'string', short: 't' },
  help: { type: 'boolean', short: 'h' },
}

/** An invalid command line. */
export class UsageError extends Error {
  name = 'UsageError'
}

/**
 * Parses the command line of `npm test`. `selection` is what Jest receives: the words and the name pattern.
 * @param args the arguments
 * @param steps the names of all steps
 * @throws {UsageError}
 */
export function parseTestOptions(args, steps) {
  const { values, positionals } = parse(args)
  const { only, testNamePattern: pattern, peers = false, containers = false, help = false } = values
  const chosen = only?.flatMap((value) => value.split(',').map((step) => step.trim())).filter(Boolean)
  const known = `The steps are: ${steps.join(', ')}.`
  if (chosen?.length === 0) throw new UsageError(`--only requires the name of a step. ${known}`)
  const unknown = chosen?.filter((step) => !steps.includes(step)) ?? []
  if (unknown.length > 0) throw new UsageError(`Step not found: ${unknown.join(', ')}. ${known}`)
  if (pattern === '') throw new UsageError('-t requires a part of the name of a test.')
  const selection = [...positionals, ...(pattern === undefined ? [] : [`--testNamePattern=${pattern}`])]
  return { only: chosen, peers, containers, help, selection }
}

function parse(args) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true })
  } catch (error) {
    throw new UsageError(error.message)
  }
}
