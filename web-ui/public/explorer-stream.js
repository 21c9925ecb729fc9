// @ts-check
import { Heartbeat } from './heartbeat.js'

/** @typedef {import('./explorer-run.js').Hop} Hop */

/** Soon enough to be taken for at once, seldom enough for a room full of pages. */
const RECONNECT_MS = 1_500
/** The tokens of the watchers live a minute (web-ui/src/explorer/watcher-tokens.ts). */
const TOKEN_MS = 60_000
/** A token that has ended this long ago was the last one: its stream is gone, whatever the connection looks like. */
const GRACE_MS = 5_000
/** A connection on which nothing has come for so long is opened again; a machine that slept has lost it. */
const SILENT_MS = 15_000
/**
 * A tab in the background gives its connection back after this time: over HTTP/1.1 a browser opens six to an origin, and the
 * seventh tab would wait for ever. Nothing is lost; the stream is opened again at the last hop.
 */
const HIDDEN_MS = 5_000
/** The heartbeats of the web UI, until its stream says otherwise. */
const HEARTBEAT_MS = 1_000

/** @typedef {'connecting' | 'live' | 'opening' | 'full' | 'sse-gateway' | 'sse-server' | 'web-ui'} StreamState `live`, or what is missing. */

/** @type {Readonly<Record<Exclude<StreamState, 'live'>, string>>} */
const WORDS = {
  connecting: 'Connecting to the stream of hops …',
  opening: 'Reconnecting: the stream of hops has closed.',
  full: 'Reconnecting: the limit of pages that watch at once is reached. Close one of them.',
  'sse-gateway':
    'Reconnecting: the SSE gateway does not answer, so no hop reaches this page. Scenarios 1 to 6 still run, and the picture catches up automatically.',
  'sse-server':
    'Reconnecting: the SSE server does not answer. Services keep what they have to report. Scenarios 1 to 6 still run, and the picture catches up automatically.',
  'web-ui': 'Reconnecting: the web UI does not answer. This page recovers with it, automatically.',
}

/**
 * The stream of hops. It is `live` while heartbeats say so, and only then. It lives on a token that the server holds for
 * this browser: before the token expires the gateway sends a challenge, this page answers it, and the stream continues
 * under a new one.
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
  #missing = 'connecting'
  #heartbeat = new Heartbeat(HEARTBEAT_MS)
  #onHop
  #onState

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer

  /** @param {{ onHop: (hop: Hop) => void, onState: (state: StreamState, detail: string) => void }} listeners */
  constructor({ onHop, onState }) {
    this.#onHop = onHop
    this.#onState = onState
    setInterval(() => this.#tick(), HEARTBEAT_MS / 4)
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) this.#closeSoon()
      else if (this.#source) clearTimeout(this.#timer)
      else this.open()
    })
  }

  open() {
    clearTimeout(this.#timer)
    // From the beginning of what the server still has: a reload, or a link to an old run, loses nothing.
    const source = new EventSource(`/explorer/hops?since=${this.#lastEventId || '0-0'}`)
    this.#source = source
    this.#heard = false
    this.#heartbeat.start()
    /**
     * Listens to one kind of event of this source; whatever comes is a sign of life of the web UI.
     * @param {string} type
     * @param {(event: MessageEvent) => void} listener
     */
    const on = (type, listener) =>
      source.addEventListener(type, (event) => {
        if (source !== this.#source) return
        this.#heard = true
        this.#heartbeat.beat()
        listener(event)
      })
    on('stream', ({ data }) => {
      const { id, heartbeatMs } = JSON.parse(data)
      this.#id = id
      this.#heartbeat.everyMs = heartbeatMs
      this.#deadline = Date.now() + TOKEN_MS
      this.#miss(undefined)
    })
    on('heartbeat', () => {
      if (this.#id) this.#miss(undefined)
    })
    on('hop', (event) => {
      this.#lastEventId = event.lastEventId
      this.#onHop(JSON.parse(event.data))
    })
    on('challenge', ({ data }) => void this.#answer(JSON.parse(data)))
    on('away', ({ data }) => this.#miss(JSON.parse(data).who))
    source.addEventListener('error', () => {
      if (source === this.#source) this.#reopen()
    })
    if (document.hidden) this.#closeSoon()
  }

  #closeSoon() {
    this.#after(HIDDEN_MS, () => this.#close('connecting'))
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
    this.#close(this.#heard ? (this.#missing ?? 'opening') : 'web-ui')
    if (!document.hidden) this.#after(RECONNECT_MS, () => this.open())
  }

  /** @param {Exclude<StreamState, 'live'>} missing */
  #close(missing) {
    this.#source?.close()
    this.#source = undefined
    this.#id = ''
    this.#miss(missing)
  }

  /**
   * One thing is due at a time: to open, or to close.
   * @param {number} milliseconds
   * @param {() => void} work
   */
  #after(milliseconds, work) {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(work, milliseconds)
  }

  #tick() {
    if (!this.#source) return
    const isOver = this.#id !== '' && Date.now() > this.#deadline + GRACE_MS
    if (isOver || this.#heartbeat.silentMs > SILENT_MS) return this.#reopen()
    if (this.#heartbeat.isLate) this.#miss('web-ui')
    else this.#tell()
  }

  /** @param {Exclude<StreamState, 'live'> | undefined} what */
  #miss(what) {
    this.#missing = what
    this.#tell()
  }

  #tell() {
    if (this.#missing) return this.#onState(this.#missing, WORDS[this.#missing])
    const seconds = Math.max(0, Math.round((this.#deadline - Date.now()) / 1000))
    const renewed =
      this.#renewals === 0 ? '' : `, renewed ${this.#renewals === 1 ? 'once' : `${this.#renewals} times`}`
    this.#onState('live', `Live: this stream’s token ends in ${seconds} s${renewed}.`)
  }
}
