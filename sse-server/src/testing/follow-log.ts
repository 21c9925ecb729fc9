import type { EventLog } from '../log/index.ts'
import type { Publication } from '../publication/index.ts'

export const limits = { maxEvents: 100, maxBytes: 1_000_000 }

/** Waits up to five seconds for an effect of another process. */
export async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 5_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`timed out waiting for ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** Returns the data fields that a log reports to its listeners, as they arrive. */
export function follow(log: EventLog): string[] {
  const seen: string[] = []
  log.onEvent(({ bytes }) => seen.push(/^data:(.*)$/m.exec(`${bytes}`)?.[1] ?? ''))
  return seen
}

export const held = (log: EventLog) => {
  const wires: string[] = []
  for (let index = log.ring.tail; index < log.ring.head; index += 1)
    wires.push(`${log.ring.at(index)?.bytes}`)
  return wires
}

export const add = async (log: EventLog, publication: Publication) =>
  (await log.append([publication]))[0] as string

export const conflict = (index: number, id = '7') => ({
  status: 409,
  code: 'id_conflict',
  index,
  message: `id "${id}" is stored with other content. Give other content another id; to repeat a publication, send the same content.`,
})
