// @ts-check
import { el } from './explorer-dom.js'
import { faultName, SCENARIOS } from './explorer-scenarios.js'
import { verdictOf } from './explorer-verdict.js'

/** @typedef {import('./explorer-run.js').Run} Run */

/** The cards of the scenarios: a `Run` button, a choice of token, and the outcome of the latest run. */
export class ScenarioCards {
  /** @type {(scenario: number) => Run | undefined} */
  #latestOf = () => undefined
  /** @type {Map<number, { card: HTMLElement, select: HTMLSelectElement, outcome: HTMLElement }>} */
  #cards = new Map()

  /** @param {{ onRun: (scenario: number, fault: string | undefined) => void, onLook: (scenario: number) => void }} listeners */
  constructor({ onRun, onLook }) {
    for (const scenario of SCENARIOS) {
      const card = makeCard(scenario, onRun, onLook)
      card.select.addEventListener('change', () => this.draw(this.#latestOf))
      this.#cards.set(scenario.number, card)
    }
  }

  get elements() {
    return [...this.#cards.values()].map(({ card }) => card)
  }

  /**
   * Selects the fault of a run, if this scenario offers it.
   * @param {number} scenario
   * @param {string | undefined} fault
   */
  choose(scenario, fault = '') {
    const { select } = this.#cards.get(scenario) ?? {}
    if (select && [...select.options].some(({ value }) => value === fault)) select.value = fault
  }

  /** @param {(scenario: number) => Run | undefined} latestOf */
  draw(latestOf) {
    this.#latestOf = latestOf
    for (const [scenario, { select, outcome }] of this.#cards) {
      const run = latestOf(scenario)
      const [text, tone] = run ? outcomeOf(run) : ['', '']
      // If another option is selected now, the outcome names its own.
      const isOfAnother = run && (run.fault ?? '') !== select.value
      const of = run?.fault ? faultName(scenario, run.fault) : select.options[0]?.text
      outcome.textContent = text && isOfAnother ? `${of}: ${text}` : text
      outcome.className = `outcome ${tone}`.trim()
    }
  }
}

/**
 * @param {Run} run
 * @returns {[text: string, tone: string]}
 */
function outcomeOf(run) {
  if (run.running) return ['running…', '']
  const verdict = verdictOf(run)
  if (!verdict) return ['', '']
  const { words, why, tone } = verdict
  const after = run.result ? ` after ${Math.round(run.result.durationMs)} ms` : ''
  return [`${words}${after}${why ? `: ${why}` : ''}`, `tone-${tone}`]
}

/**
 * @param {import('./explorer-scenarios.js').Scenario} scenario
 * @param {(scenario: number, fault: string | undefined) => void} onRun
 * @param {(scenario: number) => void} onLook
 */
function makeCard({ number, title, story, faults, spoils }, onRun, onLook) {
  const select = /** @type {HTMLSelectElement} */ (
    el(
      'select',
      { 'aria-label': `Token for scenario ${number}`, autocomplete: 'off' },
      el('option', { value: '' }, spoils ? 'Valid tokens' : 'Valid token'),
      ...faults.map((fault) => el('option', { value: fault }, faultName(number, fault))),
    )
  )
  const button = el(
    'button',
    { type: 'button', class: 'primary', 'aria-label': `Run scenario ${number}, ${title}` },
    'Run',
  )
  // Selecting an option does not run it: keyboard users pass other options on the way (WCAG 3.2.2).
  button.addEventListener('click', () => onRun(number, select.value || undefined))
  const outcome = el('p', { class: 'outcome' })
  const card = el(
    'article',
    { class: 'scenario', 'data-scenario': String(number) },
    el('span', { class: 'scenario-number', 'aria-hidden': 'true' }, String(number)),
    el('h3', {}, title),
    el('p', { class: 'meta' }, story),
    el('div', { class: 'actions' }, button, select, outcome),
  )
  // Pointing at a scenario previews its services, unless a run is shown.
  card.addEventListener('focusin', () => onLook(number))
  card.addEventListener('pointerenter', () => onLook(number))
  return { card, select, outcome }
}
