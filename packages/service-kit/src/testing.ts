import { spawnSync } from 'node:child_process'
import { afterAll, beforeAll, describe } from '@jest/globals'
import type { HostsConfig } from './http/foreign-pages.ts'
import type { Clock } from './process/clock.ts'
import type { Service } from './process/service.ts'

export { describeRecord, type RecordedAnswer } from './testing/describe-record.ts'
export {
  type ClientLoops,
  keepAliveClients,
  type LoopOutcome,
  loopClients,
  wasRefused,
} from './testing/keep-alive-clients.ts'

/** A clock that stands still until the test moves it. */
export class ManualClock {
  #now: number

  constructor(start: number | string = '2026-01-01T00:00:00Z') {
    this.#now = new Date(start).getTime()
  }

  readonly now: Clock = () => this.#now

  advance(milliseconds: number): void {
    this.#now += milliseconds
  }
}

/** What every service of a development start has in its configuration. */
export const developmentConfig: HostsConfig = { production: false, allowedHosts: [] }

/** Starts a service for the tests of a `describe`, on ports of its own, and stops it after them. */
export function useService<S extends Service>(create: () => S | Promise<S>) {
  const running: { service?: S; urls: Readonly<Record<string, string>> } = { urls: {} }
  beforeAll(async () => {
    running.service = await create()
    running.urls = await running.service.start()
  })
  afterAll(async () => {
    await running.service?.stop()
  })
  return {
    get service() {
      if (!running.service) throw new Error('The service is used before it has started.')
      return running.service
    },
    /** The URL of a listener, e.g. `url('http')`. */
    url(listener = 'http'): string {
      const url = running.urls[listener]
      if (url === undefined) throw new Error(`There is no listener named ${listener}.`)
      return url
    },
  }
}

/**
 * A `describe` for tests that need a program which a user may lack. Where it is absent they are skipped, with
 * the reason printed; under `CI=true` they must run, so its absence fails them.
 */
export const describeWith = (program: string, install: string): typeof describe | typeof describe.skip =>
  hasProgram(program, install) ? describe : describe.skip

/** The same for a part of a test: whether the program is there; where it is absent, the reason is printed. */
export function hasProgram(program: string, install: string): boolean {
  if (spawnSync('sh', ['-c', `command -v "$0"`, program]).status === 0) return true
  const reason = `${program} is not installed (${install})`
  if (process.env.CI === 'true') throw new Error(`CI must run these tests: ${reason}.`)
  console.warn(`skipped: ${reason}`)
  return false
}
