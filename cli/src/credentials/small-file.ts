import { open } from 'node:fs/promises'
import { CommandFailure, reasonOf } from '../failure.ts'

/** Enough for an RSA key of 16384 bits, which has 13 KiB as PEM. */
export const MAX_KEY_BYTES = 64 * 1024
/** Enough for all CAs of an operating system, about 250 KiB. */
export const MAX_AUTHORITIES_BYTES = 1024 * 1024

/**
 * Reads a text file up to a limit, so that a device such as /dev/zero is not read forever.
 * @throws {CommandFailure} if the file cannot be read or is larger
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
  throw new CommandFailure(`${file} is larger than the limit of ${maxBytes / 1024} KiB.`)
}
