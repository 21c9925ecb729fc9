import http, { type RequestOptions } from 'node:http'
import https from 'node:https'

export interface LoopOutcome {
  answered: number
  /** Responses that asked the client to leave its connection. */
  askedToLeave: number
  /** Refused connections, which is how a loop should end. */
  refused: number
  /** Requests that failed or were answered with a 5xx. */
  readonly failures: string[]
}

/** Clients that each repeat a step. */
export interface ClientLoops {
  readonly outcome: LoopOutcome
  /** Resolves when every client has ended. */
  readonly done: Promise<LoopOutcome>
  /** Ends the clients of a service that keeps running. */
  stop(): Promise<LoopOutcome>
}

/**
 * Runs clients for tests of a stopping service, each in its own loop until the service or the test stops it.
 * @param step sends one request of the client with this number; false if the client has ended
 */
export function loopClients(
  step: (outcome: LoopOutcome, client: number) => Promise<boolean>,
  clients: number,
): ClientLoops {
  const outcome: LoopOutcome = { answered: 0, askedToLeave: 0, refused: 0, failures: [] }
  let stopped = false
  const loop = async (_: unknown, client: number) => {
    while (!stopped && (await step(outcome, client)));
  }
  const done = Promise.all(Array.from({ length: clients }, loop)).then(() => outcome)
  return {
    outcome,
    done,
    stop: () => {
      stopped = true
      return done
    },
  }
}

/** Runs clients that each send one request after another over a kept-alive connection, until they cannot connect. */
export function keepAliveClients(
  url: string,
  { clients = 16, ...options }: RequestOptions & { readonly ca?: string; readonly clients?: number } = {},
): ClientLoops {
  const { request, Agent } = url.startsWith('https:') ? https : http
  const agents = Array.from({ length: clients }, () => new Agent({ keepAlive: true, maxSockets: 1 }))
  const loops = loopClients(
    (outcome, client) =>
      new Promise<boolean>((resolve) => {
        const sent = request(url, { ...options, agent: agents[client] as http.Agent }, (answer) => {
          if (answer.headers.connection === 'close') outcome.askedToLeave += 1
          if ((answer.statusCode as number) >= 500) outcome.failures.push(`answered ${answer.statusCode}`)
          answer.on('error', (error) => {
            outcome.failures.push(`interrupted: ${error.message}`)
            resolve(false)
          })
          answer.on('end', () => {
            outcome.answered += 1
            resolve(true)
          })
          answer.resume()
        })
        sent.on('error', (error: NodeJS.ErrnoException) => {
          if (wasRefused(error, outcome, !sent.reusedSocket)) outcome.refused += 1
          else outcome.failures.push(error.message)
          resolve(false)
        })
        sent.end()
      }),
    clients,
  )
  void loops.done.then(() => {
    for (const agent of agents) agent.destroy()
  })
  return loops
}

/**
 * Returns whether a stopping service has refused a connection. The kernel completes a connection before the service
 * accepts it and resets those not yet accepted when the listener closes. A program cannot prevent that, so a reset
 * before the first response on a new connection counts as refused if the client had been asked to leave.
 * @param isNew whether nothing has been answered on the connection yet
 */
export const wasRefused = (
  { code }: NodeJS.ErrnoException,
  { askedToLeave }: LoopOutcome,
  isNew: boolean,
): boolean =>
  code === 'ECONNREFUSED' || code === 'ENOENT' || (code === 'ECONNRESET' && isNew && askedToLeave > 0)
