import { parseArgs } from 'node:util'

export const HELP = `npm start: run the whole suite on this machine

  npm start                         start all services and print one log
  npm start -- --quiet              print only the table, warnings and errors
  npm start -- --json               print the services' JSON log lines
  npm start -- --free-ports         use free ports instead of the documented ones
  npm start -- --without NAME,…     leave these services out
  npm start -- --only NAME,…        start only these services
  npm start -- --help               print this help

While it runs, in another terminal: npx hallpass service list | stop NAME | start NAME | restart NAME
State (keys, certificates, databases) is stored in .hallpass/, or in STATE_FOLDER; npm run clean deletes it.
Ctrl-C stops everything.

Exit codes: 0 stopped, 1 failed, 2 unknown option or service, 69 port in use, 74 unusable state folder,
75 the suite is already running there, 78 invalid configuration.`

export interface StartOptions {
  readonly quiet: boolean
  readonly json: boolean
  readonly freePorts: boolean
  readonly help: boolean
  /** The services not to start. */
  readonly leftOut: readonly string[]
}

/** An invalid command line. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

const OPTIONS = {
  quiet: { type: 'boolean' },
  json: { type: 'boolean' },
  'free-ports': { type: 'boolean' },
  without: { type: 'string', multiple: true },
  only: { type: 'string', multiple: true },
  help: { type: 'boolean' },
} as const

/**
 * Parses the command line of `npm start`.
 * @param services the names of all services
 * @throws {UsageError}
 */
export function parseStartOptions(args: readonly string[], services: readonly string[]): StartOptions {
  const { quiet, json, 'free-ports': freePorts, help, without, only } = parse(args)
  if (without && only) throw new UsageError('Use either --without or --only.')
  const chosen = namesOf(only ?? without ?? [])
  const unknown = chosen.filter((name) => !services.includes(name))
  if (unknown.length > 0)
    throw new UsageError(
      `Service not found: ${unknown.join(', ')}. The services are:\n${services.map((name) => `  ${name}`).join('\n')}`,
    )
  if ((without || only) && chosen.length === 0)
    throw new UsageError(`${only ? '--only' : '--without'} requires the name of a service.`)
  const leftOut = only ? services.filter((name) => !chosen.includes(name)) : chosen
  if (leftOut.length === services.length) throw new UsageError('All services are left out: nothing to start.')
  return {
    quiet: quiet === true,
    json: json === true,
    freePorts: freePorts === true,
    help: help === true,
    leftOut,
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

const namesOf = (values: readonly string[]) =>
  values.flatMap((value) => value.split(',').map((name) => name.trim())).filter(Boolean)
