import { afterAll, beforeAll } from '@jest/globals'
import { type Env, StreamSystem } from './stream-system.ts'

/** The streams' part of the suite for the tests of a file. */
export function useStreamSystem(env: { server?: Env; gateway?: Env } = {}, gateways = 1): StreamSystem {
  const system = new StreamSystem(env)
  beforeAll(() => system.start(gateways))
  afterAll(() => system.stop())
  return system
}
