/** @typedef {import('./guarded-stream.js').Kind} Kind */

/** @type {Record<Kind, string>} */
const TONES = {
  event: 'tone-info',
  challenge: 'tone-warn',
  answer: 'tone-good',
  stream: 'tone-good',
  end: 'tone-bad',
  error: 'tone-bad',
}
/** Bounds the memory of a page that stays open. */
const MAX_MESSAGES = 500
/** Measured in Chromium: a word of 20,000 characters takes 0.7 s to lay out, one of 100,000 takes 12 s, and no challenge is answered meanwhile. */
const MAX_SHOWN_CHARACTERS = 4_000

/** Lists what happened, newest first. */
export class MessageList {
  #list = /** @type {HTMLElement} */ (document.getElementById('messages'))
  #empty = /** @type {HTMLElement} */ (document.getElementById('empty'))

  /**
   * @param {Kind} kind
   * @param {string} text shown as plain text, never parsed as HTML
   */
  add(kind, text) {
    const now = new Date()
    const time = document.createElement('time')
    time.dateTime = now.toISOString()
    time.textContent = now.toLocaleTimeString('en-GB', { timeStyle: 'medium' })
    time.append(`.${Math.floor(now.getMilliseconds() / 100)}`)
    const label = document.createElement('span')
    label.className = `status ${TONES[kind]}`
    label.textContent = kind
    const body = document.createElement('p')
    const rest = text.length - MAX_SHOWN_CHARACTERS
    body.textContent = rest > 0 ? `${text.slice(0, MAX_SHOWN_CHARACTERS)}… (${rest} more characters)` : text
    const item = document.createElement('li')
    item.dataset.kind = kind
    item.append(time, label, body)
    this.#list.prepend(item)
    this.#empty.hidden = true
    if (this.#list.childElementCount > MAX_MESSAGES) this.#list.lastElementChild?.remove()
  }
}
