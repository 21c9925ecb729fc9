// @ts-check
import { Heartbeat } from './heartbeat.js'

/** @typedef {import('./explorer-run.js').Hop} Hop */

/** Short enough to seem immediate, long enough for many open pages. */
const RECONNECT_MS = 1_500
/** The lifetime of a watcher's token (web-ui/src/explorer/watcher-tokens.ts). */
const TOKEN_MS = 60_000
/** A stream whose token expired this long ago is closed, even if the connection still looks open. */
const GRACE_MS = 5_000
/** A connection that is silent for this long is opened again: it may be lost, for example after the machine slept. */
const SILENT_MS = 15_000
/**
 * A background tab closes its connection after this time: over HTTP/1.1 a browser opens at most six connections to an
 * origin, and a seventh tab would wait. No hop is lost: the stream resumes after the last one received.
 */
const HIDDEN_MS = 5_000
/** The interval of heartbeats until the stream announces it. */
const HEARTBEAT_MS = 1_000

/** @typedef {'connecting' | 'live' | 'opening' | 'full' | 'sse-gateway' | 'sse-server' | 'web-ui'} StreamState `live`, or what is unavailable. */

/** @type {Readonly<Record<Exclude<StreamState, 'live'>, string>>} */
const WORDS = {
  connecting: 'Connecting to the stream of hops…',
  opening: 'Reconnecting: the stream of hops has closed.',
  full: 'Reconnecting: too many explorer pages are open. Close one of them.',
  'sse-gateway':
    'Reconnecting: the SSE gateway does not answer, so no hop reaches this page. Scenarios 1 to 6 still run, and the picture catches up automatically.',
  'sse-server':
    'Reconnecting: the SSE server does not answer. Services keep their hops meanwhile. Scenarios 1 to 6 still run, and the picture catches up automatically.',
  'web-ui': 'Reconnecting: the web UI does not answer. This page recovers automatically.',
}

/**
 * The stream of hops. It is `live` only while heartbeats arrive. The server holds its token for this browser: before the
 * token expires the gateway sends a challenge, this page answers it, and the stream continues with a new token.
 */
export class HopStream {
  #id = ''
  #renewals = 0
  #deadline = 0
  /** @type {EventSource | undefined} */
  #source
  #lastEventId = ''
  /** Whether the current source has received an event. If not, the web UI is unreachable. */
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
    // From the oldest stored hop: a reload, or a link to an old run, loses nothing.
    const source = new EventSource(`/explorer/hops?since=${this.#lastEventId || '0-0'}`)
    this.#source = source
    this.#heard = false
    this.#heartbeat.start()
    /**
     * Listens to one type of event; every event also counts as a heartbeat of the web UI.
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
   * Schedules opening or closing, in place of what was scheduled before.
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
    this.#onState('live', `Live: this stream’s token expires in ${seconds} s${renewed}.`)
  }
}
