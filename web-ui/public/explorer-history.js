// @ts-check
import { el } from './explorer-dom.js'
import { addressOf } from './explorer-location.js'
import { titleOf } from './explorer-run.js'
import { verdictOf } from './explorer-verdict.js'

/** @typedef {import('./explorer-run.js').Run} Run */

const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' })

/** The list of runs, newest first; redrawn only after a change. */
export class RunHistory {
  element = el('ol', { class: 'runs' })
  #drawn = ''
  #onShow

  /** @param {(traceId: string) => void} onShow */
  constructor(onShow) {
    this.#onShow = onShow
  }

  /**
   * @param {Run[]} runs
   * @param {string} shown
   */
  draw(runs, shown) {
    if (runs.length === 0) return this.element.replaceChildren(el('li', { class: 'meta' }, 'No runs yet.'))
    const rows = runs.map((run) => {
      const { words = run.running ? 'running' : 'unfinished', tone = 'info' } = verdictOf(run) ?? {}
      return { run, words, tone, title: titleOf(run), address: addressOf({ ...run, trace: run.traceId }) }
    })
    const seen = JSON.stringify([
      shown,
      ...rows.map(({ run, words, tone, title, address }) => [run.traceId, words, tone, title, address]),
    ])
    if (seen === this.#drawn) return
    this.#drawn = seen
    const focused = this.element.contains(document.activeElement)
      ? /** @type {HTMLElement} */ (document.activeElement).dataset.key
      : undefined
    this.element.replaceChildren(...rows.map((row) => this.#row(row, shown)))
    if (focused !== undefined)
      /** @type {HTMLElement | null} */ (
        this.element.querySelector(`[data-key="${CSS.escape(focused)}"]`)
      )?.focus()
  }

  /**
   * @param {{ run: Run, words: string, tone: string, title: string, address: string }} row
   * @param {string} shown
   */
  #row({ run, words, tone, title, address }, shown) {
    const link = el(
      'a',
      {
        href: address,
        'data-key': run.traceId,
        ...(run.traceId === shown ? { 'aria-current': 'true' } : {}),
      },
      el('span', { class: `dot tone-${tone}`, role: 'img', 'aria-label': words, title: words }),
      el('span', {}, title),
      el('small', {}, TIME.format(run.startedAt)),
    )
    link.addEventListener('click', (event) => {
      // The browser opens new tabs and windows.
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
      event.preventDefault()
      this.#onShow(run.traceId)
    })
    return el('li', {}, link)
  }
}
