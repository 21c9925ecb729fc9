import type { Redis } from 'ioredis'
import type { StoreUsage } from '../shared-store.ts'

export type RedisMemory = StoreUsage

/**
 * Reads the masters' memory figures with `INFO`, because managed services forbid `CONFIG GET`. For several masters,
 * returns the sums and the least safe policy.
 */
export async function readMemory(masters: readonly Redis[]): Promise<RedisMemory> {
  const nodes = (await Promise.all(masters.map((master) => master.info('memory')))).map(parseMemory)
  const policies = nodes.map(({ policy }) => policy).filter((policy) => policy !== undefined)
  const policy = policies.find((one) => one.startsWith('allkeys')) ?? policies[0]
  const max = sum(nodes.map(({ max }) => max))
  return {
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
  }
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)
