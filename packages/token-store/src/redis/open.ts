import type { RedisConnection } from './connection.ts'

/** Three nodes that do not answer, one after the other. */
const OPEN_MS = 3_000

/**
 * Opens a connection. A cluster whose nodes announce no address is never ready and never fails: after {@link OPEN_MS}, calls
 * say that it is not ready.
 */
export async function open(connection: RedisConnection): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, OPEN_MS)
  })
  await Promise.race([connection.connect(), late]).finally(() => clearTimeout(timer))
}
