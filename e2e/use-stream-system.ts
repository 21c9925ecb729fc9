import { afterAll, beforeAll } from '@jest/globals'
import { StreamSystem, type StreamSystemOptions } from './stream-system.ts'

/** Starts the streaming services for the tests of a file. */
export function useStreamSystem(options?: StreamSystemOptions): StreamSystem {
  const system = new StreamSystem(options)
  beforeAll(() => system.start(), 60_000)
  afterAll(() => system.stop())
  return system
}
