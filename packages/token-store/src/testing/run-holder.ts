import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { open } from 'lmdb'

/** Holds lmdb's write lock: stopped by SIGSTOP until it gets SIGCONT, or, with `sleep`, for a minute. */
const [folder, how] = process.argv.slice(2) as [string, string]
const root = open({ path: join(folder, 'store'), maxDbs: 256, overlappingSync: false } as Parameters<
  typeof open
>[0])
root.transactionSync(() => {
  writeSync(1, 'holding\n')
  if (how === 'sleep') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000)
  else process.kill(process.pid, 'SIGSTOP')
})
// The lock is free again; the process stays until it is killed.
setInterval(() => {}, 1_000)
