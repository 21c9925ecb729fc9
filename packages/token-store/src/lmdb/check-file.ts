import { open } from 'node:fs/promises'
import { StateFileError } from '@hallpass/private-files'

/** Offsets in lmdb's meta pages, of which a file has two (MDB_meta in mdb.c, 64 bits). */
const MAGIC = { offset: 24, value: 0xbeefc0de } as const
const PAGE_SIZE_OFFSET = 48
const LAST_PAGE_OFFSET = 144
const TRANSACTION_OFFSET = 152
const META_BYTES = 160
const MAX_PAGE_BYTES = 64 * 1024

/**
 * Checks that lmdb can use a data file. lmdb itself does not check: it maps the file into memory, and a damaged or
 * truncated file crashes the process. A missing or empty file is valid; lmdb initializes it.
 * @throws {StateFileError} if the file is not an lmdb store, is damaged, or is shorter than its meta pages require.
 */
export async function checkLmdbFile(file: string, remedy: string): Promise<void> {
  const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new StateFileError(file, `cannot be read (${error.code})`, remedy, error)
  })
  if (!handle) return
  try {
    if ((await handle.stat()).size === 0) return
    const first = await readMeta(0)
    const pageBytes = first.readUInt32LE(PAGE_SIZE_OFFSET)
    if (!isMeta(first) || pageBytes > MAX_PAGE_BYTES) throw damaged('not a token store (lmdb)')
    const metas = [first, await readMeta(pageBytes)]
    if (!metas.every(isMeta)) throw damaged('a damaged token store (lmdb)')
    // Read the size last: another process may be writing, and it writes pages before it records them in the meta page.
    const { size } = await handle.stat()
    const newest = metas.reduce((a, b) => (transaction(b) > transaction(a) ? b : a))
    const needed = (newest.readBigUInt64LE(LAST_PAGE_OFFSET) + 1n) * BigInt(pageBytes)
    if (BigInt(size) < needed)
      throw damaged(`a token store (lmdb) that was truncated: ${size} of ${needed} bytes`)
  } finally {
    await handle.close()
  }

  async function readMeta(position: number): Promise<Buffer> {
    const page = Buffer.alloc(META_BYTES)
    await handle?.read(page, 0, META_BYTES, position)
    return page
  }

  function damaged(reason: string) {
    return new StateFileError(file, reason, remedy)
  }
}

const isMeta = (page: Buffer) => page.readUInt32LE(MAGIC.offset) === MAGIC.value
const transaction = (page: Buffer) => page.readBigUInt64LE(TRANSACTION_OFFSET)
