import { type ChildProcess, spawn } from 'node:child_process'
import { EventStreamParser } from '@hallpass/event-stream'
import { EventSource } from 'eventsource'
import { Agent, fetch } from 'undici'

/** A client of the gateway that records events with their times and can answer challenges. */
export interface StreamClient {
  readonly name: string
  readonly data: string[]
  /** Arrival of the first event of each other type, in milliseconds since the epoch. */
  readonly seen: Map<string, number>
  readonly challenges: number
  /** Number of accepted answers to challenges. */
  readonly answers: number
  close(): void
}

export interface ClientOptions {
  readonly url: string
  readonly ca: string
  readonly caFile: string
  /** Returns a new token. Without it, challenges are not answered. */
  readonly newToken?: () => Promise<string>
}

/** Answers a challenge on a connection other than the stream's, by the stream handle. */
async function answer({ url, newToken }: ClientOptions, handle: string, agent: Agent): Promise<void> {
  const { status } = await fetch(url.split('?')[0] as string, {
    method: 'POST',
    dispatcher: agent,
    headers: {
      authorization: `Bearer ${await newToken?.()}`,
      'content-type': 'application/x-challenge-response',
      'stream-handle': handle,
    },
  })
  if (status !== 204) throw new Error(`The answer to the challenge was rejected: ${status}.`)
}

class Notes {
  readonly data: string[] = []
  readonly seen = new Map<string, number>()
  challenges = 0
  answers = 0
  handle = ''
  readonly #agent: Agent
  readonly #options: ClientOptions

  constructor(options: ClientOptions, agent: Agent) {
    this.#options = options
    this.#agent = agent
  }

  take(event: string, data: string): void {
    if (event === 'message') this.data.push(data)
    else if (!this.seen.has(event)) this.seen.set(event, Date.now())
    if (event === 'stream') this.handle = JSON.parse(data).handle
    if (event !== 'challenge') return
    this.challenges += 1
    if (this.#options.newToken) void this.#answer()
  }

  async #answer() {
    try {
      await answer(this.#options, this.handle, this.#agent)
      this.answers += 1
    } catch (error) {
      this.data.push((error as Error).message)
    }
  }
}

export function curl(options: ClientOptions, protocol: '--http2' | '--http1.1'): StreamClient {
  const agent = new Agent({ connect: { ca: options.ca } })
  const notes = new Notes(options, agent)
  const child: ChildProcess = spawn('curl', ['-sN', protocol, '--cacert', options.caFile, options.url])
  const parser = new EventStreamParser({
    onEvent: ({ event = 'message', data }) => notes.take(event, data),
  })
  child.stdout?.on('data', (chunk: Buffer) => parser.push(chunk))
  child.once('close', (code) => notes.take(`exit ${code}`, ''))
  return Object.assign(notes, {
    name: `curl ${protocol}`,
    close: () => {
      child.kill()
      void agent.destroy()
    },
  })
}

/** npm's `eventsource`. */
export function eventSource(options: ClientOptions): StreamClient {
  const agent = new Agent({ connect: { ca: options.ca }, bodyTimeout: 0 })
  const notes = new Notes(options, agent)
  const source = new EventSource(options.url, {
    fetch: (url, init) => fetch(url, { ...(init as object), dispatcher: agent }) as never,
  })
  for (const type of ['message', 'stream', 'challenge', 'gap', 'end'])
    source.addEventListener(type, ({ data }) => notes.take(type, data))
  return Object.assign(notes, {
    name: 'npm eventsource',
    close: () => {
      source.close()
      void agent.destroy()
    },
  })
}
