import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readFile, rename, rm, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { asStateFileError, onStateFile, parseStateFile } from './state-file-error.ts'

/** Makes a folder, and those above it, that only their owner can enter (0700). */
export async function ensurePrivateFolder(path: string): Promise<void> {
  await onStateFile(path, () => mkdir(path, { recursive: true, mode: 0o700 }))
}

/**
 * Writes a file that only its owner can read (0600), in one step: a reader sees the old text or the new one,
 * never a part, whatever happens to the machine in between.
 */
export async function writePrivateFile(path: string, data: string | Uint8Array): Promise<void> {
  await onStateFile(path, () => replaceFile(path, data, 0o600))
}

/** The same for a file without a secret (0644), e.g. a certificate or a key set that others may read. */
export async function writePublicFile(path: string, data: string | Uint8Array): Promise<void> {
  await onStateFile(path, () => replaceFile(path, data, 0o644))
}

async function replaceFile(path: string, data: string | Uint8Array, mode: number) {
  await ensurePrivateFolder(dirname(path))
  const part = await writePart(path, data, mode)
  try {
    await rename(part, path)
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
}

async function writePart(path: string, data: string | Uint8Array, mode: number): Promise<string> {
  const part = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.part`
  const file = await open(part, 'wx', mode)
  try {
    // The process's umask may have taken bits away that a public file needs.
    await file.chmod(mode)
    await file.writeFile(data)
    await file.sync()
  } catch (error) {
    // On a full disk a part is of no use, and takes the space that is left.
    await rm(part, { force: true })
    throw error
  } finally {
    await file.close()
  }
  return part
}

/**
 * Answers the file's text; when there is none, makes it. Of several processes that start at once, one makes it
 * and all read the same.
 */
export async function readOrCreatePrivateFile(
  path: string,
  create: () => Promise<string> | string,
): Promise<string> {
  const existing = await readIfThere(path)
  if (existing !== undefined) return existing
  await ensurePrivateFolder(dirname(path))
  const text = await create()
  await onStateFile(path, () => linkWhole(path, text))
  return readPresent(path)
}

async function linkWhole(path: string, text: string) {
  const part = await writePart(path, text, 0o600)
  try {
    // Unlike rename, link fails when somebody else was first.
    await link(part, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await unlink(part)
  }
}

/** 128 bits in base64 have 22 characters; a provider elsewhere may have used any that are printable. */
const SECRET = /^[\x21-\x7e]{22,}$/

/**
 * Answers a secret that several services share; the first of them makes it.
 * @throws {StateFileError} when the file holds something that is too short, or no such secret.
 */
export async function readOrCreateSecret(path: string, create: () => string): Promise<string> {
  const text = await readOrCreatePrivateFile(path, create)
  return parseStateFile(path, text, 'a secret of at least 22 printable characters', (content) => {
    const secret = content.trim()
    if (!SECRET.test(secret)) throw new Error('too short')
    return secret
  })
}

/** The text of a file, or nothing where there is none. @throws {StateFileError} when it cannot be read. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    return onStateFile(path, () => Promise.reject(error))
  }
}

/** The text of a file that must be there. @throws {StateFileError} when it is not, or cannot be read. */
export function readPresent(path: string): Promise<string> {
  return onStateFile(path, () => readFile(path, 'utf8'))
}

/** Longer than any work that is done under a lock (making a key takes a second at worst). */
const STALE_LOCK_MS = 15_000
const LOCK_POLL_MS = 20

/**
 * Runs `work` while no other process of this machine runs its own under the same folder's lock.
 * A lock whose holder died is taken over after 15 s.
 */
export async function withFolderLock<T>(folder: string, work: () => Promise<T>): Promise<T> {
  await ensurePrivateFolder(folder)
  const lock = join(folder, '.lock')
  for (;;) {
    try {
      await mkdir(lock)
      break
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw asStateFileError(lock, error)
      const age = await stat(lock).then(
        ({ mtimeMs }) => Date.now() - mtimeMs,
        () => 0,
      )
      if (age > STALE_LOCK_MS) await rm(lock, { recursive: true, force: true })
      else await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS))
    }
  }
  try {
    return await work()
  } finally {
    await rm(lock, { recursive: true, force: true })
  }
}
