import { badRequest } from '@hallpass/service-kit'
import { type AxiosInstance, createPeerClient } from '@hallpass/service-kit/axios'

/** The scenarios to compare: a call of B with each way to authenticate the caller. */
const SCENARIOS: readonly unknown[] = [1, 2, 3, 4]
/** A page requests several batches of this size, so that it can show its progress. */
const MAX_REQUESTS = 100
/** Concurrent requests: enough to keep a service busy, too few to measure only the machine's limits. */
const CONCURRENCY = 4
/** The routes of the factory that count as calls of the issuer. */
const ISSUER_CALL =
  /^http_request_duration_seconds_count\{[^}]*method="POST"[^}]*route="\/(?:issueToken|verify)\/[^}]*\} (\d+)$/gm

const AS_TEXT = { responseType: 'text' } as const

export interface Measurement {
  readonly scenario: number
  /** Milliseconds of each request, in order of completion. */
  readonly latencies: readonly number[]
  readonly failures: number
  /** The lifetime of the tokens in seconds, as seen by B. */
  readonly tokenSeconds: number | undefined
  /** The number of calls to the issuer in the meantime. */
  readonly issuerCalls: number
}

/** Measures scenarios on this machine. */
export class Measurements {
  readonly #serviceA: AxiosInstance
  readonly #factory: AxiosInstance

  constructor({ serviceAUrl, jwtFactoryUrl }: { serviceAUrl: string; jwtFactoryUrl: string }) {
    this.#serviceA = createPeerClient({ peer: 'service-a', baseUrl: serviceAUrl })
    this.#factory = createPeerClient({ peer: 'jwt-factory', baseUrl: jwtFactoryUrl })
  }

  /** @throws {HttpError} 400 for a scenario that is not compared, 502 if a service is unavailable */
  async measure(scenario: unknown, requests: unknown): Promise<Measurement> {
    if (!SCENARIOS.includes(scenario))
      throw badRequest('unknown_scenario', `Set scenario to one of ${SCENARIOS.join(', ')}.`)
    if (!Number.isInteger(requests) || (requests as number) < 1 || (requests as number) > MAX_REQUESTS)
      throw badRequest('invalid_requests', `Set requests to an integer from 1 to ${MAX_REQUESTS}.`)
    const before = await this.#issuerCalls()
    const latencies: number[] = []
    let failures = 0
    let tokenSeconds: number | undefined
    let left = requests as number
    const worker = async () => {
      while (left > 0) {
        left -= 1
        const started = performance.now()
        const { status, data } = await this.#serviceA.get<string>(`/scenario${scenario}`, AS_TEXT)
        latencies.push(performance.now() - started)
        tokenSeconds ??= lifeIn(data)
        if (status !== 200 || data.includes('"valid":false')) failures += 1
      }
    }
    await Promise.all(Array.from({ length: CONCURRENCY }, worker))
    return {
      scenario: scenario as number,
      latencies,
      failures,
      tokenSeconds,
      issuerCalls: (await this.#issuerCalls()) - before,
    }
  }

  /** Reads the factory's own metrics, so that the count does not depend on this service. */
  async #issuerCalls(): Promise<number> {
    const { data } = await this.#factory.get<string>('/metrics', AS_TEXT)
    return [...data.matchAll(ISSUER_CALL)].reduce((sum, [, count]) => sum + Number(count), 0)
  }
}

/** Reads the lifetime from the claims in B's response. */
function lifeIn(answer: string): number | undefined {
  const [exp, iat] = ['exp', 'iat'].map((claim) => new RegExp(`"${claim}":(\\d+)`).exec(answer)?.[1])
  return exp === undefined || iat === undefined ? undefined : Number(exp) - Number(iat)
}
