import http, { type RequestOptions } from 'node:http'
import https from 'node:https'

export interface LoopOutcome {
  answered: number
  /** Answers that asked the client to leave its connection. */
  askedToLeave: number
  /** The service takes no more connections, which is how a loop should end. */
  refused: number
  /** Requests that were sent and not answered, or with a 5xx. */
  readonly failures: string[]
}

/** Clients that each take one step after the other. */
export interface ClientLoops {
  readonly outcome: LoopOutcome
  /** Resolves when every client has ended. */
  readonly done: Promise<LoopOutcome>
  /** Ends the clients of a service that keeps running. */
  stop(): Promise<LoopOutcome>
}

/**
 * Runs clients for tests of a service that stops, each in a loop of its own until the test stops them.
 * @param step one request of the client with this number; false when the client has ended.
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

/** Each sends one request after the other over a connection that it keeps as long as it may, until it cannot connect. */
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
            outcome.failures.push(`cut: ${error.message}`)
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
 * Whether a service that stops has refused a connection. The kernel completes a connection before the service accepts
 * it, and resets those that still wait for that when the listener closes: no program can prevent it, so a client that
 * has been asked to leave and is reset before the first answer on its new connection was refused.
 * @param isNew nothing has been answered on the connection.
 */
export const wasRefused = (
  { code }: NodeJS.ErrnoException,
  { askedToLeave }: LoopOutcome,
  isNew: boolean,
): boolean =>
  code === 'ECONNREFUSED' || code === 'ENOENT' || (code === 'ECONNRESET' && isNew && askedToLeave > 0)
