import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, readlinkSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { MAX_SOCKET_PATH_BYTES } from './short-socket-path.ts'

/** Of a user's folders; 64 bits tell them apart. */
const HASH_DIGITS = 16

/**
 * Answers a folder through which the sockets of `folder` can be opened: itself, unless their paths are longer than the
 * system takes; then a symbolic link to it in the folder of temporary files. Every process of a user gets the same.
 *
 * @param longest the longest path of a socket below `folder`, relative to it
 */
export function shortSocketFolder(folder: string, longest: string): string {
  const target = resolve(folder)
  if (Buffer.byteLength(join(target, longest)) <= MAX_SOCKET_PATH_BYTES) return target
  const hash = createHash('sha256').update(target).digest('hex').slice(0, HASH_DIGITS)
  const own = join(tmpdir(), `hp-${process.getuid?.() ?? 0}-${hash}`)
  const link = join(own, 'd')
  unlessThere(() => mkdirSync(own, { mode: 0o700 }))
  // Everybody can make a folder there. In one of somebody else the link would lead to that one's sockets.
  const found = lstatSync(own)
  const isOurs = found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0
  if (!isOurs) return target
  unlessThere(() => symlinkSync(target, link))
  return readlinkSync(link) === target ? link : target
}

function unlessThere(make: () => void) {
  try {
    make()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}
