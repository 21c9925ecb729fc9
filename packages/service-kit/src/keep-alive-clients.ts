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

/**
 * Clients for tests of a service that stops: each sends one request after the other over a connection that it keeps as
 * long as it may, until it cannot connect any more.
 */
export function loopClients(
  url: string,
  { clients = 16, ...options }: RequestOptions & { readonly ca?: string; readonly clients?: number } = {},
) {
  const outcome: LoopOutcome = { answered: 0, askedToLeave: 0, refused: 0, failures: [] }
  let stopped = false

  async function loop() {
    const { request, Agent } = url.startsWith('https:') ? https : http
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    while (!stopped) {
      const ended = await new Promise<boolean>((resolve) => {
        request(url, { ...options, agent }, (answer) => {
          if (answer.headers.connection === 'close') outcome.askedToLeave += 1
          if ((answer.statusCode as number) >= 500) outcome.failures.push(`answered ${answer.statusCode}`)
          answer.on('error', (error) => {
            outcome.failures.push(`cut: ${error.message}`)
            resolve(true)
          })
          answer.on('end', () => {
            outcome.answered += 1
            resolve(false)
          })
          answer.resume()
        })
          .on('error', (error: NodeJS.ErrnoException) => {
            if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') outcome.refused += 1
            else outcome.failures.push(error.message)
            resolve(true)
          })
          .end()
      })
      if (ended) break
    }
    agent.destroy()
  }

  const done = Promise.all(Array.from({ length: clients }, loop)).then(() => outcome)
  return {
    outcome,
    /** Resolves when every client has ended. */
    done,
    /** Ends those of a service that goes on. */
    stop: () => {
      stopped = true
      return done
    },
  }
}
