/**
 * A file or folder of the state that cannot be used. Its message is one line for a person: the file, the cause, the
 * remedy; nothing of the file's content, which may be secret.
 */
export class StateFileError extends Error {
  readonly file: string
  /** What is wrong with it, without a full stop. */
  readonly reason: string
  /** What to do about it, as a sentence. */
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

/** What the system's error codes mean for somebody who starts a service. */
const FAULTS: Readonly<Record<string, readonly [reason: string, remedy: string]>> = {
  EACCES: ['no permission', `Give this user access to it (chown, chmod), ${ELSEWHERE}`],
  EPERM: ['not permitted', `Give this user access to it (chown, chmod), ${ELSEWHERE}`],
  EROFS: ['the file system is read-only', `Mount it writable, ${ELSEWHERE}`],
  ENOSPC: ['no space left on the disk', `Free some space, ${ELSEWHERE}`],
  EDQUOT: ['the disk quota is used up', `Free some space, ${ELSEWHERE}`],
  EIO: ['the disk reports an error', `Check the disk, ${ELSEWHERE}`],
  ENOTDIR: ['part of the path is a file, not a folder', `Move that file away, ${ELSEWHERE}`],
  EEXIST: ['a file is in the place of a folder', `Move it away, ${ELSEWHERE}`],
  EISDIR: ['a folder is in the place of a file', `Move it away, ${ELSEWHERE}`],
  ENOENT: ['not found', `Create it, ${ELSEWHERE}`],
  ENAMETOOLONG: ['the path is too long', 'Set STATE_FOLDER to a folder with a shorter path.'],
  ELOOP: ['the path has a loop of symbolic links', `Remove the loop, ${ELSEWHERE}`],
  EMFILE: ['too many open files', 'Raise the limit (ulimit -n).'],
}

/** Runs what reads or writes `file`; an error of the system becomes a {@link StateFileError}. */
export async function onStateFile<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw asStateFileError(file, error)
  }
}

/** The same error if it is none of the system's. */
export function asStateFileError(file: string, error: unknown): unknown {
  if (error instanceof StateFileError) return error
  const { code, path } = error as NodeJS.ErrnoException
  const fault = code === undefined ? undefined : FAULTS[code]
  // The system names the folder that it could not enter or make; that is where to look.
  return fault ? new StateFileError(nameOf(path) ?? file, ...fault, error) : error
}

/** A file that is being written has a name of its own until it is whole; nobody knows it by that one. */
const nameOf = (path: string | undefined) => path?.replace(/\.\d+\.[0-9a-f]{8}\.part$/, '')

/** What to do about a file that the next start makes again when it is gone. */
export const MADE_AGAIN = 'Restore it, or delete it and start again: a new one is made.'

/**
 * Reads the content of a state file, e.g. as a key.
 * @param expected what it must be, for the message, e.g. `a private key`
 * @throws {StateFileError} in place of whatever `parse` throws
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
