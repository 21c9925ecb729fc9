import { asStateFileError, StateFileError } from '@hallpass/private-files'
import { ConfigError } from './config.ts'
import { EXIT_CODES } from './exit-codes.ts'

export interface StartFailure {
  /** The cause and the remedy, without a stack. */
  readonly message: string
  readonly exitCode: number
}

/**
 * Describes why a process could not start, for the person who started it.
 * @param config the configuration, if it was valid; its members are named like their variables
 */
export function describeStartFailure(thrown: unknown, config: object = {}): StartFailure {
  const errors = thrown instanceof AggregateError ? thrown.errors : [thrown]
  const ports = errors.map((error) => describePort(error, config))
  if (ports.every((text) => text !== undefined))
    return { message: ports.join('; '), exitCode: EXIT_CODES.portTaken }
  const [error] = errors as [NodeJS.ErrnoException]
  const path = error.path ?? (error as { dest?: string }).dest
  const known = path === undefined ? error : asStateFileError(path, error)
  if (known instanceof StateFileError) return { message: known.message, exitCode: EXIT_CODES.stateUnusable }
  if (known instanceof ConfigError) return { message: known.message, exitCode: EXIT_CODES.configuration }
  return { message: error?.message ?? String(error), exitCode: EXIT_CODES.failed }
}

function describePort(error: unknown, config: object): string | undefined {
  const { code, port } = error as NodeJS.ErrnoException & { port?: number }
  if (port === undefined) return undefined
  const variable = portVariable(port, config)
  const how = variable === undefined ? '' : ` with ${variable}`
  if (code === 'EADDRINUSE')
    return `port ${port} is in use by another process. Stop it (lsof -i :${port}), or choose another port${how}`
  if (code === 'EACCES') return `port ${port} requires elevated privileges. Choose a port above 1023${how}`
  return undefined
}

/** Returns the variable that sets a port: `HTTPS_PORT` for the member `httpsPort`. */
function portVariable(port: number, config: object): string | undefined {
  const [member] = Object.entries(config).find(([name, value]) => /port$/i.test(name) && value === port) ?? []
  return member?.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
}
