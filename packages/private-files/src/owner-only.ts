import { open } from 'node:fs/promises'
import { onStateFile, StateFileError } from './state-file-error.ts'

const OTHERS = 0o077
const GROUP_MAY_READ = 0o040
const ROOT = 0

/**
 * Reads a file with a secret that an operator provides, e.g. a PIN, and rejects one that others could read or have written.
 * The owner is this user or root. A group may read it only if root owns it and this user is not root: that is how
 * Kubernetes shows a secret to a pod with an `fsGroup`.
 * @throws {StateFileError} naming the fault and the command that ends it.
 */
export function readOwnerOnlyFile(path: string): Promise<string> {
  return onStateFile(path, async () => {
    // One open file, so that what was checked is what is read.
    const file = await open(path, 'r')
    try {
      const { mode, uid } = await file.stat()
      const user = process.getuid?.()
      // Windows has no modes.
      if (user !== undefined) assertOwnerOnly(path, mode, uid, user)
      return await file.readFile('utf8')
    } finally {
      await file.close()
    }
  })
}

function assertOwnerOnly(path: string, mode: number, owner: number, user: number) {
  if (owner !== user && owner !== ROOT)
    throw new StateFileError(
      path,
      `owned by user ${owner}, not by this user`,
      `Change its owner: chown ${user} ${path}`,
    )
  const allowed = owner === ROOT && user !== ROOT ? GROUP_MAY_READ : 0
  if ((mode & OTHERS & ~allowed) !== 0)
    throw new StateFileError(
      path,
      `readable by other users (mode ${(mode & 0o777).toString(8)})`,
      `Allow only its owner to read it: chmod 600 ${path}`,
    )
}
