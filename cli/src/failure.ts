/** The exit codes of `hallpass`, for scripts. */
export const EXIT = {
  ok: 0,
  /** A request was rejected, or failed. */
  failed: 1,
  /** The command line is invalid. */
  usage: 2,
  /** A peer is not reachable, or failed TLS verification. */
  unreachable: 3,
  /** A stream ended because its token expired. */
  tokenExpired: 4,
  /** A stream was interrupted, or ended for another reason. */
  streamEnded: 5,
} as const

/** Ends a command with a message for the user. Any other error is a bug and is printed with its stack. */
export class CommandFailure extends Error {
  readonly exitCode: number
  /** Further lines, printed indented below the message. A line break in the message itself is escaped. */
  readonly more: readonly string[]

  constructor(message: string, exitCode: number = EXIT.failed, more: readonly string[] = []) {
    super(message)
    this.name = 'CommandFailure'
    this.exitCode = exitCode
    this.more = more
  }
}

/** Returns why a connection failed: the system's code, or the message if there is none. */
export function reasonOf(error: unknown): string {
  const { code, message } = ((error as Error).cause ?? error) as { code?: unknown; message?: string }
  return typeof code === 'string' ? code : String(message ?? error)
}
