import { readFile, readlink } from 'node:fs/promises'
import type { PeerCredentials } from './peer-credentials.ts'

/** The folders of the system's files; tests use their own. */
export interface SystemFiles {
  readonly proc: string
  readonly etc: string
}

const SYSTEM: SystemFiles = { proc: '/proc', etc: '/etc' }

/**
 * Returns the selectors of a process: uid and gid from the kernel, names from the system's files, supplementary groups and
 * program from `/proc`.
 * @throws if the process has exited, or another process has its PID now.
 */
export async function unixSelectors(
  { pid, uid, gid }: PeerCredentials,
  { proc, etc }: SystemFiles = SYSTEM,
): Promise<string[]> {
  // The kernel reports 0 for a process in another PID namespace, which has no folder in our /proc.
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

/** Reads field 22 of `/proc/PID/stat` (proc(5)), which distinguishes processes that reuse a PID. */
async function startTime(folder: string): Promise<string | undefined> {
  const stat = await readFile(`${folder}/stat`, 'latin1')
  // The second field is the program name in parentheses, and can itself contain spaces and parentheses.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
}

async function supplementaryGroups(folder: string, uid: number): Promise<number[]> {
  const status = await readFile(`${folder}/status`, 'latin1')
  const effectiveUid = /^Uid:\t\d+\t(\d+)/m.exec(status)?.[1]
  if (Number(effectiveUid) !== uid) throw new Error('the process has changed its user since it connected')
  return (/^Groups:[\t ]*(.*)$/m.exec(status)?.[1] ?? '').split(/\s+/).filter(Boolean).map(Number)
}

/** Reads the names in `passwd` or `group` by number; the first of several names is used, as in getpwuid(3). */
async function names(file: string): Promise<Map<number, string>> {
  const byId = new Map<number, string>()
  for (const line of (await readFile(file, 'utf8').catch(() => '')).split('\n')) {
    const [name, , id] = line.split(':')
    if (name && id && !byId.has(Number(id))) byId.set(Number(id), name)
  }
  return byId
}

/** Returns the uid for a user name or a numeric uid. @throws if the user does not exist. */
export async function uidOf(user: string, { etc } = SYSTEM): Promise<number> {
  if (/^\d+$/.test(user)) return Number(user)
  for (const [uid, name] of await names(`${etc}/passwd`)) if (name === user) return uid
  throw new Error(`user ${user} not found`)
}
