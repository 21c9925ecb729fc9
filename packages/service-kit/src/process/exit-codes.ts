/** What the exit code of a process of the suite says: those of sysexits(3), where it has one. */
export const EXIT_CODES = {
  stopped: 0,
  failed: 1,
  /** EX_USAGE is 64, but every shell and the CLI of this suite say 2. */
  usage: 2,
  /** EX_UNAVAILABLE: another process has a port that is needed. */
  portTaken: 69,
  /** EX_IOERR: a file or folder of the state cannot be used. */
  stateUnusable: 74,
  /** EX_TEMPFAIL: the suite already runs in this state folder. */
  alreadyRuns: 75,
  /** EX_CONFIG: a variable is missing or wrong. */
  configuration: 78,
} as const
