import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readdir, readFile, rename, rm, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { assertPrivate } from './exposure.ts'
import { asStateFileError, onStateFile, parseStateFile } from './state-file-error.ts'

/** Creates a folder and its missing parents, all owner-only (0700). @throws {StateFileError} */
export async function ensurePrivateFolder(path: string): Promise<void> {
  await onStateFile(path, () => mkdir(path, { recursive: true, mode: 0o700 }))
}

/**
 * Writes an owner-only file (0600) atomically: a reader sees the old or the new content, never a part of it, even after
 * a crash. @throws {StateFileError}
 */
export async function writePrivateFile(path: string, data: string | Uint8Array): Promise<void> {
  await onStateFile(path, () => replaceFile(path, data, 0o600))
}

/** Like {@link writePrivateFile}, for a file without a secret (0644), e.g. a certificate or a public key set. */
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
    // The process's umask may have removed bits that a public file needs.
    await file.chmod(mode)
    await file.writeFile(data)
    await file.sync()
  } catch (error) {
    // On a full disk, a partial file is useless and takes the remaining space.
    await rm(part, { force: true })
    throw error
  } finally {
    await file.close()
  }
  return part
}

/**
 * Returns the file's content; creates the file with `create` if it does not exist. If several processes do this
 * concurrently, one creates the file and all return its content.
 * @throws {StateFileError} also if other users have access to an existing file
 */
export async function readOrCreatePrivateFile(
  path: string,
  create: () => Promise<string> | string,
): Promise<string> {
  const existing = await readPrivateIfThere(path)
  if (existing !== undefined) return existing
  await ensurePrivateFolder(dirname(path))
  const text = await create()
  await onStateFile(path, () => linkWhole(path, text))
  return readPresent(path)
}

async function linkWhole(path: string, text: string) {
  const part = await writePart(path, text, 0o600)
  try {
    // Unlike rename, link fails if another process was first.
    await link(part, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await unlink(part)
  }
}

/** 128 bits are 22 characters in base64; secrets from another provider may contain any printable character. */
const SECRET = /^[\x21-\x7e]{22,}$/

/**
 * Returns a secret that several services share; the first of them creates it.
 * @throws {StateFileError} if the content is shorter than 22 characters or not printable.
 */
export async function readOrCreateSecret(path: string, create: () => string): Promise<string> {
  const text = await readOrCreatePrivateFile(path, create)
  return parseStateFile(path, text, 'a secret of at least 22 printable characters', (content) => {
    const secret = content.trim()
    if (!SECRET.test(secret)) throw new Error('too short')
    return secret
  })
}

/** Returns a file's content, or undefined if it does not exist. @throws {StateFileError} if it cannot be read. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    return onStateFile(path, () => Promise.reject(error))
  }
}

/**
 * Like {@link readIfThere}, for a file with a secret.
 * @throws {StateFileError} also if other users have access to it
 */
export async function readPrivateIfThere(path: string): Promise<string | undefined> {
  const text = await readIfThere(path)
  if (text !== undefined) await assertPrivate(path)
  return text
}

/** Returns a file's content. @throws {StateFileError} if it does not exist or cannot be read. */
export function readPresent(path: string): Promise<string> {
  return onStateFile(path, () => readFile(path, 'utf8'))
}

/** Longer than any work under a lock: generating a key takes at most a second. */
const STALE_LOCK_MS = 15_000
const LOCK_POLL_MS = 20

/**
 * Runs `work` while holding the folder's lock, which excludes all other processes on this machine.
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

/** A file being written; its process and a random number are part of its name. */
const PART = /\.(\d+)\.[0-9a-f]{8}\.part$/
/** Writing a file takes milliseconds; a process of another machine or container, whose pid says nothing, may be writing. */
const STALE_PART_MS = 60_000

/**
 * Removes what processes that were killed while writing have left in a folder: such files may contain a private key. Returns
 * their names. @throws {StateFileError}
 */
export async function removeLeftParts(folder: string): Promise<string[]> {
  const names = await onStateFile(folder, () => readdir(folder)).catch((error: Error) => {
    if ((error.cause as NodeJS.ErrnoException)?.code === 'ENOENT') return []
    throw error
  })
  const removed: string[] = []
  for (const name of names) {
    const pid = Number(PART.exec(name)?.[1])
    if (Number.isNaN(pid)) continue
    const path = join(folder, name)
    const age = await stat(path).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    )
    if (isRunning(pid) && age < STALE_PART_MS) continue
    await onStateFile(path, () => rm(path, { force: true }))
    removed.push(name)
  }
  return removed
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it runs as another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
