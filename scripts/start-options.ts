import { parseArgs } from 'node:util'

export const HELP = `npm start: runs the whole suite on this machine

  npm start                         start everything, show one log
  npm start -- --quiet              the table, warnings and errors only
  npm start -- --json               the services' own JSON log lines
  npm start -- --free-ports         where the documented ports are taken: any that are free
  npm start -- --without NAME,…     leave these services out
  npm start -- --only NAME,…        start these services and no others
  npm start -- --help               this help

While it runs, in another terminal: npx hallpass service list | stop NAME | start NAME | restart NAME
State (keys, certificates, databases) is kept in .hallpass/, or in STATE_FOLDER; npm run clean deletes it.
Ctrl-C stops everything.

Exit codes: 0 stopped, 1 failed, 2 unknown option or service, 69 port in use, 74 state folder not usable,
75 the suite already runs there, 78 configuration not usable.`

export interface StartOptions {
  readonly quiet: boolean
  readonly json: boolean
  readonly freePorts: boolean
  readonly help: boolean
  /** The services that are known and not started. */
  readonly leftOut: readonly string[]
}

/** A command line that was not understood. */
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
 * @param services the names of all services
 * @throws {UsageError}
 */
export function parseStartOptions(args: readonly string[], services: readonly string[]): StartOptions {
  const { quiet, json, 'free-ports': freePorts, help, without, only } = parse(args)
  if (without && only) throw new UsageError('--without and --only exclude each other.')
  const chosen = namesOf(only ?? without ?? [])
  const unknown = chosen.filter((name) => !services.includes(name))
  if (unknown.length > 0)
    throw new UsageError(
      `There is no service ${unknown.join(', ')}. The services are:\n${services.map((name) => `  ${name}`).join('\n')}`,
    )
  if ((without || only) && chosen.length === 0)
    throw new UsageError(`${only ? '--only' : '--without'} needs the name of a service.`)
  const leftOut = only ? services.filter((name) => !chosen.includes(name)) : chosen
  if (leftOut.length === services.length)
    throw new UsageError('Without any service there is nothing to start.')
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
