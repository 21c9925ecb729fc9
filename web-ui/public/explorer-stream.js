// @ts-check

/** @typedef {import('./explorer-drawing.js').Hop} Hop */

const RECONNECT_MS = 3_000
/** The tokens of the watchers live a minute (web-ui/src/explorer/watcher-tokens.ts). */
const TOKEN_MS = 60_000

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
  #onHop
  #onState

  /** @param {{ onHop: (hop: Hop) => void, onState: (state: string, detail: string) => void }} listeners */
  constructor({ onHop, onState }) {
    this.#onHop = onHop
    this.#onState = onState
    setInterval(() => this.#tell(), 1000)
  }

  open() {
    // From the beginning of what the server still has: a reload, or a link to an old run, loses nothing.
    const source = new EventSource(`/explorer/hops?since=${this.#lastEventId || '0-0'}`)
    this.#source = source
    source.addEventListener('stream', (event) => {
      this.#id = JSON.parse(event.data).id
      this.#deadline = Date.now() + TOKEN_MS
      this.#tell()
    })
    source.addEventListener('hop', (event) => {
      this.#lastEventId = event.lastEventId
      this.#onHop(JSON.parse(event.data))
    })
    source.addEventListener('challenge', (event) => this.#answer(JSON.parse(event.data)))
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
    this.#onState(
      'away',
      'The stream of hops is away. Scenarios still run; the picture comes back by itself.',
    )
    setTimeout(() => this.open(), RECONNECT_MS)
  }

  #tell() {
    if (this.#deadline === 0) return
    const seconds = Math.max(0, Math.round((this.#deadline - Date.now()) / 1000))
    const renewed =
      this.#renewals === 0 ? '' : `, renewed ${this.#renewals === 1 ? 'once' : `${this.#renewals} times`}`
    this.#onState('live', `Live: this stream’s token ends in ${seconds} s${renewed}.`)
  }
}
