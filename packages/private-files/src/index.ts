import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readFile, rename, rm, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Makes a folder, and those above it, that only their owner can enter (0700). */
export async function ensurePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 })
}

/**
 * Writes a file that only its owner can read (0600), in one step: a reader sees the old text or the new one,
 * never a part, whatever happens to the machine in between.
 */
export async function writePrivateFile(path: string, data: string | Uint8Array): Promise<void> {
  await replaceFile(path, data, 0o600)
}

/** The same for a file without a secret (0644), e.g. a certificate or a key set that others may read. */
export async function writePublicFile(path: string, data: string | Uint8Array): Promise<void> {
  await replaceFile(path, data, 0o644)
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
  const part = await writePart(path, await create(), 0o600)
  try {
    // Unlike rename, link fails when somebody else was first.
    await link(part, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await unlink(part)
  }
  return readFile(path, 'utf8')
}

export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
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
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
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
