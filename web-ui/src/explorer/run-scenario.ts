import type { Handler } from '@hallpass/service-kit'
import type { ScenarioRunner } from './scenario-runner.ts'

const USER = /^[\w.-]{1,32}$/
const TRACE_ID = /^(?!0{32})[0-9a-f]{32}$/

/** `GET /explorer/runs`: lists the last runs, newest first, each with its result once it has one. */
export function listRuns({ log }: ScenarioRunner): Handler {
  return (_request, response) => {
    response.set('cache-control', 'no-store').json({ runs: log.list() })
  }
}

/**
 * `POST /explorer/runs` with `scenario` and optional `fault` and `traceId`: runs the scenario and returns its result.
 */
export function runScenario(runner: ScenarioRunner): Handler {
  return async (request, response) => {
    const { scenario, fault, user, traceId } = request.body as Record<string, unknown>
    response.json(
      await runner.run(scenario, fault, {
        ...(typeof user === 'string' && USER.test(user) ? { user } : {}),
        ...(typeof traceId === 'string' && TRACE_ID.test(traceId) ? { traceId } : {}),
      }),
    )
  }
}
