import type { Redis } from 'ioredis'
import type { StoreUsage } from '../shared-store.ts'

export interface RedisMemory extends StoreUsage {
  /** Whether every master appends each write to a file (`appendonly yes`); undefined if unknown. */
  readonly appendOnly?: boolean
}

/**
 * Reads the masters' memory figures, and whether they append to a file, with `INFO`, because managed services forbid `CONFIG GET`. For several masters,
 * returns the sums and the least safe policy.
 */
export async function readMemory(masters: readonly Redis[]): Promise<RedisMemory> {
  const infos = await Promise.all(
    masters.map(async (master) => `${await master.info('memory')}\n${await master.info('persistence')}`),
  )
  const nodes = infos.map(parseMemory)
  const appends = nodes.map(({ appendOnly }) => appendOnly).filter((one) => one !== undefined)
  const policies = nodes.map(({ policy }) => policy).filter((policy) => policy !== undefined)
  const policy = policies.find((one) => one.startsWith('allkeys')) ?? policies[0]
  const max = sum(nodes.map(({ max }) => max))
  return {
    ...(appends.length > 0 ? { appendOnly: appends.every(Boolean) } : {}),
    usedBytes: sum(nodes.map(({ used }) => used)),
    ...(max > 0 ? { maxBytes: max } : {}),
    ...(policy === undefined ? {} : { evictionPolicy: policy }),
  }
}

export function parseMemory(info: string) {
  const field = (name: string) => new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1]
  return {
    used: Number(field('used_memory') ?? 0),
    /** 0 means no limit. */
    max: Number(field('maxmemory') ?? 0),
    policy: field('maxmemory_policy'),
    appendOnly: field('aof_enabled') === undefined ? undefined : field('aof_enabled') === '1',
  }
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)
