import { readFile, readlink } from 'node:fs/promises'
import type { PeerCredentials } from './peer-credentials.ts'

/** Where the system keeps what is asked here; a test brings its own. */
export interface SystemFiles {
  readonly proc: string
  readonly etc: string
}

const SYSTEM: SystemFiles = { proc: '/proc', etc: '/etc' }

/**
 * What is known of a process, as selectors: uid and gid from the kernel, names from the system's files, the
 * supplementary groups and the program from `/proc`.
 * @throws when the process has gone, or another has taken its number meanwhile.
 */
export async function unixSelectors(
  { pid, uid, gid }: PeerCredentials,
  { proc, etc }: SystemFiles = SYSTEM,
): Promise<string[]> {
  // 0 is what the kernel says of a process in a foreign PID namespace: nothing in /proc belongs to it.
  const folder = pid > 0 ? `${proc}/${pid}` : undefined
  const before = folder && (await startTime(folder))
  const [users, groups, supplementary, program] = await Promise.all([
    names(`${etc}/passwd`),
    names(`${etc}/group`),
    folder ? supplementaryGroups(folder, uid) : [],
    folder ? readlink(`${folder}/exe`).catch(() => undefined) : undefined,
  ])
  if (folder && (await startTime(folder)) !== before)
    throw new Error(`process ${pid} is not the one that connected`)
  const named = (selector: string, name: string | undefined) => (name ? [`unix:${selector}:${name}`] : [])
  return [
    `unix:uid:${uid}`,
    ...named('user', users.get(uid)),
    `unix:gid:${gid}`,
    ...named('group', groups.get(gid)),
    ...supplementary.flatMap((id) => [
      `unix:supplementary_gid:${id}`,
      ...named('supplementary_group', groups.get(id)),
    ]),
    ...named('path', program),
  ]
}

/** Field 22 of `/proc/PID/stat` (proc(5)): with the number, it tells one process from its successor. */
async function startTime(folder: string): Promise<string | undefined> {
  const stat = await readFile(`${folder}/stat`, 'latin1')
  // The second field is the program's name in brackets, and may hold blanks and brackets itself.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
}

async function supplementaryGroups(folder: string, uid: number): Promise<number[]> {
  const status = await readFile(`${folder}/status`, 'latin1')
  const effectiveUid = /^Uid:\t\d+\t(\d+)/m.exec(status)?.[1]
  if (Number(effectiveUid) !== uid) throw new Error('the process has changed its user since it connected')
  return (/^Groups:[\t ]*(.*)$/m.exec(status)?.[1] ?? '').split(/\s+/).filter(Boolean).map(Number)
}

/** The names in `passwd` or `group` by number; the first of several names counts, as for getpwuid(3). */
async function names(file: string): Promise<Map<number, string>> {
  const byId = new Map<number, string>()
  for (const line of (await readFile(file, 'utf8').catch(() => '')).split('\n')) {
    const [name, , id] = line.split(':')
    if (name && id && !byId.has(Number(id))) byId.set(Number(id), name)
  }
  return byId
}

/** The uid of a user name, or of a uid in digits. @throws when there is no such user. */
export async function uidOf(user: string, { etc } = SYSTEM): Promise<number> {
  if (/^\d+$/.test(user)) return Number(user)
  for (const [uid, name] of await names(`${etc}/passwd`)) if (name === user) return uid
  throw new Error(`there is no user ${user}`)
}
