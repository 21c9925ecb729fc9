import { open } from 'node:fs/promises'
import { CommandFailure, reasonOf } from './failure.ts'

/** An RSA key of 16384 bits has 13 KiB as PEM. */
export const MAX_KEY_BYTES = 64 * 1024
/** The authorities that a whole system trusts have some 250 KiB. */
export const MAX_AUTHORITIES_BYTES = 1024 * 1024

/**
 * The text of a file that a command line names; a device that never ends is not read beyond the limit.
 * @throws {CommandFailure} when it cannot be read or has more bytes
 */
export async function readSmallFile(file: string, maxBytes: number): Promise<string> {
  try {
    await using handle = await open(file)
    const buffer = Buffer.alloc(maxBytes + 1)
    let size = 0
    while (size <= maxBytes) {
      const { bytesRead } = await handle.read(buffer, size, buffer.length - size, null)
      if (bytesRead === 0) return buffer.toString('utf8', 0, size)
      size += bytesRead
    }
  } catch (error) {
    throw new CommandFailure(`${file} cannot be read: ${reasonOf(error)}.`)
  }
  throw new CommandFailure(`${file} has more than ${maxBytes / 1024} KiB; it cannot be what is needed here.`)
}
