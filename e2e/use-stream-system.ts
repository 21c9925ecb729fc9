import { afterAll, beforeAll } from '@jest/globals'
import { StreamSystem, type StreamSystemOptions } from './stream-system.ts'

/** The streams' part of the suite for the tests of a file. */
export function useStreamSystem(options?: StreamSystemOptions): StreamSystem {
  const system = new StreamSystem(options)
  beforeAll(() => system.start(), 60_000)
  afterAll(() => system.stop())
  return system
}
