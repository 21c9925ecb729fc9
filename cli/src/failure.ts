/** What a script can tell apart by the exit code of `hallpass`. */
export const EXIT = {
  ok: 0,
  /** Something was refused, or went wrong. */
  failed: 1,
  /** The command line was not understood. */
  usage: 2,
  /** A peer did not answer, or is not trusted. */
  unreachable: 3,
  /** A stream ended because its token did. */
  tokenExpired: 4,
  /** A stream was cut, or ended for another reason. */
  streamEnded: 5,
} as const

/** Ends a command with a message for a person; anything else that is thrown is a bug and shows its stack. */
export class CommandFailure extends Error {
  readonly exitCode: number
  /** Further lines, indented below the message: a line break in the message itself is shown as one, not made. */
  readonly more: readonly string[]

  constructor(message: string, exitCode: number = EXIT.failed, more: readonly string[] = []) {
    super(message)
    this.name = 'CommandFailure'
    this.exitCode = exitCode
    this.more = more
  }
}

/** Why a connection failed, in a word or two: the system's code, or the message where there is none. */
export function reasonOf(error: unknown): string {
  const { code, name, message } = ((error as Error).cause ?? error) as {
    code?: unknown
    name?: string
    message?: string
  }
  if (typeof code === 'string') return code
  return name === 'TimeoutError' ? 'no answer in time' : String(message ?? error)
}
