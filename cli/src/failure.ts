/** What a script can tell apart by the exit code of `hallpass`. */
export const EXIT = {
  ok: 0,
  /** Something was refused, or went wrong. */
  failed: 1,
  /** The command line was not understood. */
  usage: 2,
  /** A peer did not answer. */
  unreachable: 3,
  /** A stream ended because its token did. */
  tokenExpired: 4,
  /** A stream was cut, or ended for another reason. */
  streamEnded: 5,
} as const

/** Ends a command with a message for a person; anything else that is thrown is a bug and shows its stack. */
export class CommandFailure extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode: number = EXIT.failed) {
    super(message)
    this.name = 'CommandFailure'
    this.exitCode = exitCode
  }
}
