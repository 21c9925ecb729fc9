/** The exit codes of the suite's processes, from sysexits(3) where it has a matching one. */
export const EXIT_CODES = {
  stopped: 0,
  failed: 1,
  /** EX_USAGE is 64, but shells and the CLI of this suite use 2. */
  usage: 2,
  /** EX_UNAVAILABLE: another process uses a required port. */
  portTaken: 69,
  /** EX_IOERR: a file or folder of the state folder is unusable. */
  stateUnusable: 74,
  /** EX_TEMPFAIL: the suite is already running in this state folder. */
  alreadyRuns: 75,
  /** EX_CONFIG: a variable is missing or invalid. */
  configuration: 78,
} as const
