/** @typedef {import('./tokens.js').Token} Token */

const REFRESH_MS = 100

/** @param {string} id */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id))

/** Shows the current token: its subject, its ID, and the time until it expires. */
export class TokenTicket {
  /** @type {Token | undefined} */
  token
  #renewals = 0
  #ticket = /** @type {HTMLElement} */ (document.querySelector('.ticket'))
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer

  /** Resets the count of renewals: the first token of a stream is not a renewal. */
  begin() {
    this.#renewals = -1
  }

  /** @param {Token} token */
  show(token) {
    this.token = token
    this.#renewals += 1
    element('subject').textContent = token.subject
    element('token-id').textContent = token.id.slice(0, 8)
    element('renewals').textContent = ['not yet', 'once'][this.#renewals] ?? `${this.#renewals} times`
    const life = token.expiresAt - token.issuedAt
    this.#ticket.style.setProperty('--window', `${Math.min(100, (100 * token.windowMs) / life)}%`)
    this.state('open', 'open')
    this.#timer ??= setInterval(() => this.#refresh(), REFRESH_MS)
    this.#refresh()
  }

  get hasEnded() {
    return this.#ticket.dataset.state === 'ended'
  }

  /**
   * @param {'open' | 'challenged' | 'ended'} state
   * @param {string} text
   */
  state(state, text) {
    this.#ticket.dataset.state = state
    element('state').textContent = text
    if (state !== 'ended') return
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#refresh()
  }

  #refresh() {
    if (!this.token) return
    const left = Math.max(0, this.token.expiresAt - Date.now())
    element('countdown').textContent = `${(left / 1000).toFixed(1)} s`
    const life = this.token.expiresAt - this.token.issuedAt
    this.#ticket.style.setProperty('--left', `${(100 * left) / life}%`)
  }
}
