import { randomBytes } from 'node:crypto'
import { badRequest, HttpError, runInTrace, toHttpError, traceFrom } from '@hallpass/service-kit'
import { type AxiosInstance, createPeerClient } from '@hallpass/service-kit/axios'
import { EXPLORER_AGENT } from '../live/index.ts'
import { FAULTS, type Fault, type Run } from './run.ts'
import { RunLog } from './run-log.ts'
import type { StreamScenario } from './stream-scenario.ts'

export interface RunnerConfig {
  readonly serviceAUrl: string
  readonly tokenCacheUrl: string
}

/** Scenarios 3 and 4 support every fault of 1 and 2; the tokens of 5 and 6 come from an agent and a cache. */
const POSSIBLE: Readonly<Record<number, readonly Fault[]>> = {
  1: FAULTS,
  2: FAULTS,
  3: FAULTS,
  4: FAULTS,
  5: ['wrong-audience'],
  6: ['no-token'],
  7: FAULTS,
}

/** The audience of a token for another service, as in the documented example of scenario 5. */
const SOMEBODY_ELSE = 'spiffe://example.org/some-other-server'

/** Responses of the scenarios have a few KiB; the run log keeps a hundred of them. */
const MAX_ANSWER_BYTES = 64 * 1024

interface Call {
  readonly run: () => Promise<{ readonly status: number; readonly data: unknown }>
  readonly curl: string
}

/** Runs a scenario like a user with curl, in a trace that every service reports. */
export class ScenarioRunner {
  readonly #serviceA: AxiosInstance
  readonly #tokenCache: AxiosInstance
  readonly #streams: StreamScenario
  readonly #config: RunnerConfig
  readonly log = new RunLog()

  constructor(config: RunnerConfig, streams: StreamScenario) {
    this.#config = config
    this.#streams = streams
    this.#serviceA = createPeerClient({
      peer: 'service-a',
      baseUrl: config.serviceAUrl,
      maxAnswerBytes: MAX_ANSWER_BYTES,
    })
    this.#tokenCache = createPeerClient({
      peer: 'token-cache-load-balancer',
      baseUrl: config.tokenCacheUrl,
      maxAnswerBytes: MAX_ANSWER_BYTES,
    })
  }

  /**
   * Runs a scenario and stores its result.
   * @param options.user the user whose token scenario 6 caches
   * @param options.traceId chosen by the page that draws the run, so that it recognizes the hops as they arrive
   * @throws {HttpError} 400 for an unknown scenario or fault; 409 for a trace ID that a run already has; 502 or 504
   *   naming the service that did not respond
   */
  async run(
    scenario: unknown,
    fault: unknown,
    { user = 'user1', traceId = randomBytes(16).toString('hex') }: { user?: string; traceId?: string } = {},
  ): Promise<Run> {
    const possible = POSSIBLE[scenario as number]
    if (!possible)
      throw badRequest('unknown_scenario', `Set scenario to one of ${Object.keys(POSSIBLE).join(', ')}.`)
    if (fault !== undefined && !possible.includes(fault as Fault))
      throw badRequest(
        'unknown_fault',
        `Set fault to one of ${possible.join(', ')} for scenario ${scenario}.`,
      )
    const chosen = fault as Fault | undefined
    const call = this.#callFor(scenario as number, chosen, user)
    const trace = traceFrom(`00-${traceId}-${randomBytes(8).toString('hex')}-01`, 'web-ui')
    if (this.log.has(traceId))
      throw new HttpError(
        409,
        'trace_in_use',
        `Another run already has the trace ID ${traceId}. Choose another one.`,
      )
    const { curl } = call
    const begun = { traceId, scenario: scenario as number, fault: chosen, curl }
    this.log.begin({ ...begun, startedAt: Date.now() })
    const started = performance.now()
    const end = (status: number, answer: unknown) => {
      const result = { status, answer, durationMs: performance.now() - started, curl }
      this.log.end(traceId, result)
      return { ...begun, ...result }
    }
    try {
      const { status, data } = await runInTrace(trace, call.run)
      return end(status, data)
    } catch (error) {
      const { status, body } = toHttpError(error)
      end(status, body)
      throw error
    }
  }

  #callFor(scenario: number, fault: Fault | undefined, user: string): Call {
    if (scenario === 7) return { run: () => this.#streams.run(fault), curl: this.#streams.curlFor(fault) }
    if (scenario === 6) {
      const headers: Record<string, string> =
        fault === 'no-token' ? {} : { 'remote-user': user, 'user-agent': EXPLORER_AGENT }
      const flags = fault === 'no-token' ? '' : ` -A ${EXPLORER_AGENT} -H "remote-user: ${user}"`
      return {
        run: () => this.#tokenCache.get('/', { headers }),
        curl: `curl${flags} ${this.#config.tokenCacheUrl}`,
      }
    }
    const query =
      fault === undefined
        ? ''
        : scenario === 5
          ? `?audience=${encodeURIComponent(SOMEBODY_ELSE)}`
          : `?fault=${fault}`
    const path = `/scenario${scenario}${query}`
    return {
      run: () => this.#serviceA.get(path),
      curl: `curl "${this.#config.serviceAUrl}${path}"`,
    }
  }
}
