import { randomBytes } from 'node:crypto'
import { readdir, readFile, readlink, rm, stat, utimes } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import {
  asStateFileError,
  ensurePrivateFolder,
  StateFileError,
  writePrivateFile,
} from '@hallpass/private-files'

/** How often a process shows that it uses the folder. */
const BEAT_MS = 2_000
/** A machine whose process shows nothing for this long has stopped or lost the folder. */
const SILENCE_MS = 3 * BEAT_MS
const POLL_MS = 200

export interface FolderOwner {
  release(): Promise<void>
}

interface Owner {
  readonly host: string
  /** Processes with the same number space can check each other's pids. */
  readonly processes: string
  readonly pid: number
}

/**
 * Claims a folder for the processes of this machine: lmdb's locks are in shared memory, so processes of several machines
 * that open one folder, e.g. on a network disk, damage it. Each process has a file with its host and pid, whose time it
 * renews every two seconds. Files of processes that have ended are taken over.
 * @throws {StateFileError} if a process of another machine, or of another container, uses the folder.
 */
export async function ownFolder(folder: string): Promise<FolderOwner> {
  const owners = join(folder, 'owners')
  await ensurePrivateFolder(owners)
  const self = await thisProcess()
  const mine = join(owners, `${self.pid}-${randomBytes(4).toString('hex')}.json`)
  // First, so that of two that start at once at least one sees the other.
  await writePrivateFile(mine, JSON.stringify(self))
  const beat = setInterval(() => {
    const now = new Date()
    // A full disk does not prevent this; if the folder is gone, the store reports it.
    utimes(mine, now, now).catch(() => {})
  }, BEAT_MS)
  beat.unref()
  const release = async () => {
    clearInterval(beat)
    await rm(mine, { force: true }).catch(() => {})
  }
  try {
    await Promise.all(
      (await namesIn(owners))
        .filter((name) => join(owners, name) !== mine)
        .map((name) => takeOver(folder, join(owners, name), self)),
    )
  } catch (error) {
    await release()
    throw error
  }
  return { release }
}

async function takeOver(folder: string, file: string, self: Owner): Promise<void> {
  const owner = await readOwner(file)
  if (owner === undefined) return
  const isHere = owner.host === self.host && owner.processes === self.processes
  if (isHere && isRunning(owner.pid)) return
  if (!isHere && (await showsItself(file)))
    throw new StateFileError(
      folder,
      `in use by a process of another machine or container (host ${owner.host}, pid ${owner.pid})`,
      'An embedded store works only for the processes of one machine. Stop that process, or give all replicas REDIS_URL.',
    )
  await rm(file, { force: true })
}

/** Watches whether a file is renewed. Compares no clocks, because a network disk has its own. */
async function showsItself(file: string): Promise<boolean> {
  const first = await timeOf(file)
  for (let waited = 0; waited < SILENCE_MS; waited += POLL_MS) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    const time = await timeOf(file)
    if (time === undefined) return false
    if (time !== first) return true
  }
  return false
}

const timeOf = (file: string) =>
  stat(file).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  )

async function readOwner(file: string): Promise<Owner | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Owner
  } catch {
    // Its process has just ended, or it is the rest of a write.
    return undefined
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith('.json'))
  } catch (error) {
    throw asStateFileError(folder, error)
  }
}

async function thisProcess(): Promise<Owner> {
  // On Linux, containers have process numbers of their own.
  const processes = await readlink('/proc/self/ns/pid').catch(() => '')
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')
  return { host: hostname(), processes: `${processes} ${boot.trim()}`.trim(), pid: process.pid }
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
