/**
 * Thrown when a file or folder of the state cannot be used. The message is one line: the path, the cause and the fix.
 * It contains nothing of the file's content, which may be secret.
 */
export class StateFileError extends Error {
  readonly file: string
  /** The cause, without a full stop. */
  readonly reason: string
  /** The fix, as a sentence. */
  readonly remedy: string

  constructor(file: string, reason: string, remedy: string, cause?: unknown) {
    super(`${file}: ${reason}. ${remedy}`, { cause })
    this.name = 'StateFileError'
    this.file = file
    this.reason = reason
    this.remedy = remedy
  }
}

const ELSEWHERE = 'or set STATE_FOLDER to another folder.'

/** The cause and fix for each system error code, for the user who starts a service. */
const FAULTS: Readonly<Record<string, readonly [reason: string, remedy: string]>> = {
  EACCES: ['no permission', `Give this user access to it (chown, chmod), ${ELSEWHERE}`],
  EPERM: ['not permitted', `Give this user access to it (chown, chmod), ${ELSEWHERE}`],
  EROFS: ['the file system is read-only', `Mount it writable, ${ELSEWHERE}`],
  ENOSPC: ['no space left on the disk', `Free some space, ${ELSEWHERE}`],
  EDQUOT: ['the disk quota is used up', `Free some space, ${ELSEWHERE}`],
  EIO: ['the disk reported an error', `Check the disk, ${ELSEWHERE}`],
  ENOTDIR: ['part of the path is a file, not a folder', `Move that file away, ${ELSEWHERE}`],
  EEXIST: ['a file exists where a folder is expected', `Move it away, ${ELSEWHERE}`],
  EISDIR: ['a folder exists where a file is expected', `Move it away, ${ELSEWHERE}`],
  ENOENT: ['not found', `Create it, ${ELSEWHERE}`],
  ENAMETOOLONG: ['the path is too long', 'Set STATE_FOLDER to a folder with a shorter path.'],
  ELOOP: ['the path has a loop of symbolic links', `Remove the loop, ${ELSEWHERE}`],
  EMFILE: ['too many open files', 'Raise the limit (ulimit -n).'],
}

/** Runs `work`, which reads or writes `file`, and converts system errors to a {@link StateFileError}. */
export async function onStateFile<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw asStateFileError(file, error)
  }
}

/** Returns a {@link StateFileError} for a system error, and any other error unchanged. */
export function asStateFileError(file: string, error: unknown): unknown {
  if (error instanceof StateFileError) return error
  const { code, path } = error as NodeJS.ErrnoException
  const fault = code === undefined ? undefined : FAULTS[code]
  // The system names the folder that it could not access or create, which is the one to report.
  return fault ? new StateFileError(nameOf(path) ?? file, ...fault, error) : error
}

/** Replaces the temporary name of a partially written file, which the user does not know, with its final name. */
const nameOf = (path: string | undefined) => path?.replace(/\.\d+\.[0-9a-f]{8}\.part$/, '')

/** The fix for a file that the next start creates again if it is missing. */
export const MADE_AGAIN = 'Restore it, or delete it and start again: a new one is created.'

/**
 * Reads the content of a state file, e.g. as a key.
 * @param expected the expected content, for the message, e.g. `a private key`
 * @throws {StateFileError} if `parse` throws
 */
export function parseStateFile<T>(
  file: string,
  text: string,
  expected: string,
  parse: (text: string) => T,
  remedy: string = MADE_AGAIN,
): T {
  try {
    return parse(text)
  } catch (error) {
    if (error instanceof StateFileError) throw error
    throw new StateFileError(file, text.trim() === '' ? 'empty' : `not ${expected}`, remedy, error)
  }
}
