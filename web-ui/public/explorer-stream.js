// @ts-check

/** @typedef {import('./explorer-drawing.js').Hop} Hop */

/** Soon enough to be taken for at once, seldom enough for a room full of pages. */
const RECONNECT_MS = 1_500
/** The tokens of the watchers live a minute (web-ui/src/explorer/watcher-tokens.ts). */
const TOKEN_MS = 60_000

/** @typedef {'live' | 'opening' | 'sse-gateway' | 'sse-server' | 'web-ui'} StreamState `live`, or what is missing. */

/** @type {Readonly<Record<Exclude<StreamState, 'live'>, string>>} */
const WORDS = {
  opening: 'The stream of hops has ended; it is opened anew.',
  'sse-gateway':
    'The SSE gateway is away: no hop reaches this page. Scenarios 1 to 6 still run, and the picture comes back by itself.',
  'sse-server':
    'The SSE server is away: services keep what they have to tell. Scenarios 1 to 6 still run, and the picture comes back by itself.',
  'web-ui': 'The web UI does not answer. This page comes back with it, by itself.',
}

/**
 * The stream of hops. It lives on a token that the server holds for this browser: before the token ends the gateway
 * sends a challenge, this page answers it, and the stream goes on under a new one.
 */
export class HopStream {
  #id = ''
  #renewals = 0
  #deadline = 0
  /** @type {EventSource | undefined} */
  #source
  #lastEventId = ''
  /** Whether the present source has brought anything; one that has not met nobody. */
  #heard = false
  /** @type {Exclude<StreamState, 'live'> | undefined} */
  #missing
  #onHop
  #onState

  /** @param {{ onHop: (hop: Hop) => void, onState: (state: StreamState, detail: string) => void }} listeners */
  constructor({ onHop, onState }) {
    this.#onHop = onHop
    this.#onState = onState
    setInterval(() => this.#tell(), 1000)
  }

  open() {
    // From the beginning of what the server still has: a reload, or a link to an old run, loses nothing.
    const source = new EventSource(`/explorer/hops?since=${this.#lastEventId || '0-0'}`)
    this.#source = source
    this.#heard = false
    source.addEventListener('stream', (event) => {
      this.#heard = true
      this.#missing = undefined
      this.#id = JSON.parse(event.data).id
      this.#deadline = Date.now() + TOKEN_MS
      this.#tell()
    })
    source.addEventListener('hop', (event) => {
      this.#lastEventId = event.lastEventId
      this.#onHop(JSON.parse(event.data))
    })
    source.addEventListener('challenge', (event) => this.#answer(JSON.parse(event.data)))
    source.addEventListener('away', (event) => {
      this.#heard = true
      this.#miss(JSON.parse(event.data).who)
    })
    source.addEventListener('back', () => this.#miss(undefined))
    source.addEventListener('error', () => this.#reopen())
  }

  /** @param {{ method: string, headers: Record<string, string> }} challenge */
  async #answer({ method, headers }) {
    const response = await fetch(`/explorer/hops/${this.#id}`, { method, headers }).catch(() => undefined)
    if (response?.status !== 204) return
    this.#renewals += 1
    this.#deadline = Date.now() + TOKEN_MS
    this.#tell()
  }

  #reopen() {
    this.#source?.close()
    this.#deadline = 0
    this.#miss(this.#heard ? (this.#missing ?? 'opening') : 'web-ui')
    setTimeout(() => this.open(), RECONNECT_MS)
  }

  /** @param {Exclude<StreamState, 'live'> | undefined} what */
  #miss(what) {
    this.#missing = what
    this.#tell()
  }

  #tell() {
    if (this.#missing) return this.#onState(this.#missing, WORDS[this.#missing])
    if (this.#deadline === 0) return
    const seconds = Math.max(0, Math.round((this.#deadline - Date.now()) / 1000))
    const renewed =
      this.#renewals === 0 ? '' : `, renewed ${this.#renewals === 1 ? 'once' : `${this.#renewals} times`}`
    this.#onState('live', `Live: this stream’s token ends in ${seconds} s${renewed}.`)
  }
}
