import { fetchToken } from './tokens.js'

/** @typedef {import('./tokens.js').Token} Token */
/** @typedef {'event' | 'challenge' | 'answer' | 'end' | 'stream' | 'error'} Kind */

/** Ends after which a new stream with a new token is worth a try at once, before the browser tries with the old one. */
const COME_BACK = ['stream_too_old', 'upstream_ended', 'upstream_failed', 'client_too_slow', 'shutting_down']
const FIRST_WAIT_MS = 1000
const LONGEST_WAIT_MS = 30_000

/**
 * A stream of the gateway: opens it with a token, answers its challenges with new ones, says what happens.
 * The browser's own EventSource does the reading; it can send no header, so the token stands in the URL, and the
 * handle, which another client would take from a header, comes as the first event.
 */
export class GuardedStream {
  /** @type {EventSource | undefined} */
  #source
  #location
  #handle = ''
  #lastEventId = ''
  #closed = false
  #revoked = false
  /** Tries since the stream was open last. */
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
   * @param {(token: Token) => void} listeners.onToken the stream goes on with this token
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
    if (this.#closed) return
    const url = new URL(this.#location)
    url.searchParams.set('access_token', token.text)
    url.searchParams.set('handle', '1')
    // A new EventSource does not know what the one before it has seen.
    if (this.#lastEventId) url.searchParams.set('lastEventId', this.#lastEventId)
    const source = new EventSource(url)
    this.#source = source
    source.addEventListener('open', (event) => {
      // The browser's own; a published event of this type is a message like any other.
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
    source.addEventListener('gap', (event) => this.#onMessage('error', `events are missing: ${event.data}`))
    source.addEventListener('end', (event) => this.#end(JSON.parse(event.data).reason))
    source.addEventListener('error', (event) => {
      if (event instanceof MessageEvent) return this.#take(event, event.data)
      console.error('The event stream has ended.', event)
      // CONNECTING: the browser comes back by itself, with its old URL. CLOSED: that was refused, and it has stopped.
      if (source.readyState !== EventSource.CLOSED || source !== this.#source) return
      if (this.reauthorizes && !this.#revoked) this.#comeBack()
      else this.#finish('end', 'the gateway refuses the old token, and the browser stops')
    })
  }

  close() {
    if (this.#closed) return
    this.#finish('stream', 'closed here')
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
   * The challenge says how to answer it; a new token is what it asks for.
   * @param {{ method: string, headers: Record<string, string> }} challenge
   */
  async #answer({ method, headers }) {
    const token = await fetchToken()
    const answer = await fetch(this.#location, {
      method,
      headers: { ...headers, authorization: `Bearer ${token.text}`, 'stream-handle': this.#handle },
    })
    this.#onMessage('answer', `${method} ${new URL(this.#location).pathname} → ${answer.status}`)
    if (answer.status === 204) this.#onToken(token)
  }

  /** @param {string} reason */
  #end(reason) {
    this.#onMessage('end', reason)
    this.#revoked = reason === 'token_revoked'
    if (this.reauthorizes && COME_BACK.includes(reason)) this.#comeBack()
  }

  /** With a new token, and from the last event that came; later each time, and not together with all others. */
  #comeBack() {
    this.#source?.close()
    const wait = Math.min(FIRST_WAIT_MS * 2 ** this.#tries, LONGEST_WAIT_MS) * (0.5 + Math.random())
    this.#tries += 1
    this.#onMessage('stream', `coming back with a new token in ${(wait / 1000).toFixed(1)} s`)
    setTimeout(() => {
      if (this.#closed) return
      this.open().catch((error) => {
        this.#fail(error)
        this.#comeBack()
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
