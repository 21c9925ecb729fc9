import { fetchTicket, fetchToken } from './tokens.js'

/** @typedef {import('./tokens.js').Token} Token */
/** @typedef {'event' | 'challenge' | 'answer' | 'end' | 'stream' | 'error'} Kind */

/** End reasons after which this page reconnects with a new token, before the browser reconnects with the old one. */
const RECONNECT_AFTER = [
  'stream_too_old',
  'key_withdrawn',
  'upstream_ended',
  'upstream_failed',
  'client_too_slow',
  'replay_busy',
  'shutting_down',
]
const FIRST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 30_000

/**
 * Tokens are dated in whole seconds, so one of the second in which the stream was opened extends nothing, and one of the next
 * second does.
 */
const MAX_ATTEMPTS = 2
const NEXT_SECOND_MS = 1_000

/**
 * Opens a stream at the gateway with a token, answers its challenges with new tokens, and reports what happens.
 * The browser's EventSource cannot send or read headers. A one-time ticket therefore takes the token's place in the URL, and
 * the stream handle, which other clients read from a header, arrives as the first event.
 */
export class GuardedStream {
  /** @type {EventSource | undefined} */
  #source
  #location
  #handle = ''
  #lastEventId = ''
  #closed = false
  #revoked = false
  /** Attempts since the stream was last open. */
  #tries = 0
  /** @type {(kind: Kind, text: string) => void} */
  #onMessage
  /** @type {(token: Token) => void} */
  #onToken
  /** @type {() => void} */
  #onClosed
  /** Whether challenges are answered; may change while the stream is open. */
  reauthorizes = true

  /**
   * @param {string} location
   * @param {object} listeners
   * @param {(kind: Kind, text: string) => void} listeners.onMessage
   * @param {(token: Token) => void} listeners.onToken called when the stream is opened or reauthorized with this token
   * @param {() => void} listeners.onClosed
   */
  constructor(location, { onMessage, onToken, onClosed }) {
    this.#location = location
    this.#onMessage = onMessage
    this.#onToken = onToken
    this.#onClosed = onClosed
  }

  async open() {
    const token = await fetchToken()
    const ticket = await fetchTicket(this.#location, token)
    if (this.#closed) return
    const url = new URL(this.#location)
    url.searchParams.set('ticket', ticket)
    url.searchParams.set('handle', '1')
    // A new EventSource has no last event ID of its own.
    if (this.#lastEventId) url.searchParams.set('lastEventId', this.#lastEventId)
    const source = new EventSource(url)
    this.#source = source
    source.addEventListener('open', (event) => {
      // A connection event is not a MessageEvent; a published event may also have the type `open`.
      if (event instanceof MessageEvent) return this.#take(event, event.data)
      this.#tries = 0
      this.#onToken(token)
      this.#onMessage('stream', 'open')
    })
    source.addEventListener('message', (event) => this.#take(event, event.data))
    source.addEventListener('stream', (event) => {
      this.#handle = JSON.parse(event.data).handle
    })
    source.addEventListener('challenge', (event) => {
      this.#onMessage('challenge', event.data)
      if (this.reauthorizes) this.#answer(JSON.parse(event.data)).catch((error) => this.#fail(error))
      else this.#onMessage('answer', 'none: Reauthorize is off')
    })
    source.addEventListener('gap', (event) =>
      this.#onMessage('error', `events may be missing: ${event.data}`),
    )
    source.addEventListener('end', (event) => this.#end(JSON.parse(event.data).reason))
    source.addEventListener('error', (event) => {
      if (event instanceof MessageEvent) return this.#take(event, event.data)
      console.error('The event stream has ended.', event)
      if (source !== this.#source) return
      // CONNECTING: the browser reconnects automatically, with its old URL, whose ticket is used. CLOSED: the gateway rejected
      // that, and the browser has stopped.
      if (this.reauthorizes && !this.#revoked) this.#reconnect()
      else if (source.readyState === EventSource.CLOSED)
        this.#finish('end', 'the gateway rejects the used ticket, so the browser does not reconnect')
    })
  }

  close() {
    if (this.#closed) return
    this.#finish('stream', 'closed by this page')
  }

  /**
   * @param {MessageEvent} event
   * @param {string} text
   */
  #take(event, text) {
    this.#lastEventId = event.lastEventId
    this.#onMessage('event', text)
  }

  /**
   * Sends a new token with the method and the headers that the challenge names, and another if it extends nothing.
   * @param {{ method: string, headers: Record<string, string> }} challenge
   */
  async #answer({ method, headers }) {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS && !this.#closed; attempt += 1) {
      const token = await fetchToken()
      const answer = await fetch(this.#location, {
        method,
        headers: { ...headers, authorization: `Bearer ${token.text}`, 'stream-handle': this.#handle },
      })
      const result = `${method} ${new URL(this.#location).pathname} → ${answer.status}`
      if (answer.ok) {
        this.#onMessage('answer', result)
        return this.#onToken(token)
      }
      this.#onMessage('error', `${result}: ${await messageOf(answer)}`)
      if (answer.status !== 409) return
      await new Promise((resolve) => setTimeout(resolve, NEXT_SECOND_MS))
    }
  }

  /** @param {string} reason */
  #end(reason) {
    this.#onMessage('end', reason)
    this.#revoked = reason === 'token_revoked'
    if (this.reauthorizes && RECONNECT_AFTER.includes(reason)) this.#reconnect()
  }

  /** Opens the stream again, with a new token and after the last event received. Waits longer each time, with jitter. */
  #reconnect() {
    this.#source?.close()
    const wait = Math.min(FIRST_WAIT_MS * 2 ** this.#tries, LONGEST_WAIT_MS) * (0.5 + Math.random())
    this.#tries += 1
    this.#onMessage('stream', `reconnecting with a new token in ${(wait / 1000).toFixed(1)} s`)
    setTimeout(() => {
      if (this.#closed) return
      this.open().catch((error) => {
        this.#fail(error)
        this.#reconnect()
      })
    }, wait)
  }

  /** @param {Error} error */
  #fail(error) {
    this.#onMessage('error', error.message)
  }

  /**
   * @param {Kind} kind
   * @param {string} why
   */
  #finish(kind, why) {
    this.#closed = true
    this.#source?.close()
    this.#onMessage(kind, why)
    this.#onClosed()
  }
}

/**
 * @param {Response} answer
 * @returns {Promise<string>} the message of the gateway's error, or the status text of another response
 */
async function messageOf(answer) {
  try {
    return (await answer.json()).error.message
  } catch {
    return answer.statusText
  }
}
