import type { Stats } from 'node:fs'
import { readFileSync, statSync } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { quoted } from './quoted.ts'
import { onStateFile, StateFileError } from './state-file-error.ts'

const GROUP_OR_OTHERS = 0o077
/** What root's file may allow the group of this process: to read. */
const BEYOND_GROUP_READ = 0o037
const ROOT = 0

/** Why a file with a secret is not private, and the fix. */
export interface Exposure {
  /** The cause, without a full stop. */
  readonly reason: string
  /** The fix, as a sentence. */
  readonly remedy: string
}

/**
 * Explains why a file with a secret is not private to this process's user; returns undefined if it is. Symbolic links must
 * have been followed. A file of this user must be inaccessible to its group and to others (0600, 0400). A file of root may be
 * readable by the group (0640, 0440): that is how Kubernetes mounts a secret into a pod with an `fsGroup`, and how
 * distributions install keys. A file of any other user is not private, whatever its mode: that user can replace it.
 * Not checked on Windows, which has no such modes.
 */
export function explainExposure(
  path: string,
  { mode, uid }: Pick<Stats, 'mode' | 'uid'>,
  self = process.getuid?.(),
): Exposure | undefined {
  if (self === undefined) return undefined
  if (uid !== self && uid !== ROOT)
    return {
      reason: `belongs to the user with the ID ${uid}, who can replace it, not to this one (${self})`,
      remedy: `Run: chown ${self} ${quoted(path)}`,
    }
  const excess = mode & (uid === self ? GROUP_OR_OTHERS : BEYOND_GROUP_READ)
  if (excess === 0) return undefined
  const bits = (mode & 0o777).toString(8).padStart(4, '0')
  return {
    reason: `other users have access to it (mode ${bits})`,
    remedy: `Run: chmod 600 ${quoted(path)} (in Kubernetes: defaultMode 0440 and an fsGroup), and replace the secret if somebody else may have read it.`,
  }
}

const WRITABLE_BY_OTHERS = 0o002

/**
 * Explains why a file that decides whom to trust can be changed by any user of this machine; returns undefined if it cannot.
 * Symbolic links must have been followed. The file need not be secret, and its group may administer it.
 */
export function explainTampering(path: string, { mode }: Pick<Stats, 'mode'>): Exposure | undefined {
  if (process.getuid === undefined || (mode & WRITABLE_BY_OTHERS) === 0) return undefined
  return { reason: 'any user of this machine can change it', remedy: `Run: chmod o-w ${path}` }
}

/**
 * Checks that a file with a secret is private to this process's user, as {@link explainExposure} defines it.
 * @throws {StateFileError} if it is not, does not exist or cannot be examined
 */
export async function assertPrivate(path: string): Promise<void> {
  const exposure = explainExposure(path, await onStateFile(path, () => stat(path)))
  if (exposure) throw new StateFileError(path, exposure.reason, exposure.remedy)
}

/**
 * Reads a file with a secret that an operator provides, e.g. a PIN.
 * @throws {StateFileError} if it is not private, as {@link explainExposure} defines it, does not exist or cannot be read
 */
export function readOwnerOnlyFile(path: string): Promise<string> {
  return onStateFile(path, async () => {
    // One open file, so that what was checked is what is read.
    const file = await open(path, 'r')
    try {
      const exposure = explainExposure(path, await file.stat())
      if (exposure) throw new StateFileError(path, exposure.reason, exposure.remedy)
      return await file.readFile('utf8')
    } finally {
      await file.close()
    }
  })
}

/**
 * Explains, with the fix, why a file must not be used as a secret that an operator provides; returns undefined if it can be.
 * Reads synchronously, so for the start of a service. Never quotes the file.
 * @param secret what the file must contain, e.g. `the client secret`
 */
export function explainSecretFile(path: string, secret: string): string | undefined {
  try {
    const stats = statSync(path)
    if (stats.isDirectory()) return 'is a folder, not a file. Correct the name.'
    const exposure = explainExposure(path, stats)
    if (exposure) return `${exposure.reason}. ${exposure.remedy}`
    return readFileSync(path, 'utf8').trim() === '' ? `is empty. Write ${secret} to it.` : undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return `does not exist. Write ${secret} to it.`
    return `cannot be read (${code}). Give this user access to it (chown, chmod).`
  }
}
