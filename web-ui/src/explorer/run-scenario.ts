import type { RequestHandler } from 'express'
import type { ScenarioRunner } from './scenario-runner.ts'

/** `POST /explorer/runs` with `scenario` and perhaps `fault`: runs it and answers with its trace id. */
export function runScenario(runner: ScenarioRunner): RequestHandler {
  return async (request, response) => {
    const { scenario, fault, user } = request.body as { scenario?: unknown; fault?: unknown; user?: unknown }
    const name = typeof user === 'string' && /^[\w.-]{1,32}$/.test(user) ? user : 'user1'
    response.json(await runner.run(scenario, fault, name))
  }
}
