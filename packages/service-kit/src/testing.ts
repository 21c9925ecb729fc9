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
export { type RunningService, startServiceProcess } from './testing/service-process.ts'

/** A clock that moves only when the test moves it. */
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

/** The settings of development mode that every service has. */
export const developmentConfig: HostsConfig = { production: false, allowedHosts: [] }

/** Starts a service for the tests of a `describe` on its own ports, and stops it afterwards. */
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
      if (!running.service) throw new Error('The service was used before it started.')
      return running.service
    },
    /** Returns the URL of a listener, e.g. `url('http')`. */
    url(listener = 'http'): string {
      const url = running.urls[listener]
      if (url === undefined) throw new Error(`No listener is named ${listener}.`)
      return url
    },
  }
}

/**
 * Returns `describe` for tests that require a program. If it is not installed, they are skipped and the reason is
 * printed; with `CI=true` its absence is an error.
 */
export const describeWith = (program: string, install: string): typeof describe | typeof describe.skip =>
  hasProgram(program, install) ? describe : describe.skip

/** Returns whether a program is installed, for part of a test; if not, prints the reason, or throws with `CI=true`. */
export function hasProgram(program: string, install: string): boolean {
  if (spawnSync('sh', ['-c', `command -v "$0"`, program]).status === 0) return true
  const reason = `${program} is not installed (${install})`
  if (process.env.CI === 'true') throw new Error(`CI must run these tests: ${reason}.`)
  console.warn(`skipped: ${reason}`)
  return false
}
