// @ts-check
import { diagram, drawPreview } from './explorer-diagram.js'
import { copyButton, el } from './explorer-dom.js'
import { describeHop } from './explorer-hop.js'
import { addressOf } from './explorer-location.js'
import { keyOf, lanesOf, stepsOf, titleOf, toMermaid } from './explorer-run.js'
import { SCENARIOS } from './explorer-scenarios.js'
import { verdictOf } from './explorer-verdict.js'

/** @typedef {import('./explorer-run.js').Hop} Hop */
/** @typedef {import('./explorer-run.js').Run} Run */

/** The selection after the user has closed the open hop. */
export const NOTHING = ''

/**
 * Draws the hops of a run as a sequence diagram, with the details of one below. A click, Enter or Space opens and
 * closes a hop; Escape closes it.
 * @param {Run} run
 * @param {{
 *   width: number,
 *   sources: import('./explorer-hop.js').Sources,
 *   away: string | undefined,
 *   selected: string | undefined,
 *   onSelect: (key: string) => void,
 * }} view `away`: why hops do not arrive at present; `selected`: chosen by the user, `undefined` before a choice.
 */
export function drawRun(run, { width, sources, away, selected, onSelect }) {
  const steps = stepsOf(run.hops)
  const lanes = lanesOf(steps, SCENARIOS.find(({ number }) => number === run.scenario)?.lanes ?? [])
  const details = el('div', { class: 'hop-details', id: 'hop-details' })
  /** @type {Map<string, SVGElement>} */
  const rows = new Map()
  /** @param {Hop | undefined} hop */
  const show = (hop) => {
    for (const row of rows.values()) row.setAttribute('aria-expanded', 'false')
    if (!hop)
      return details.replaceChildren(
        el('p', { class: 'empty' }, 'Open a hop to see its token and its checks.'),
      )
    const row = rows.get(keyOf(hop))
    row?.setAttribute('aria-expanded', 'true')
    details.replaceChildren(
      describeHop(hop, sources, () => {
        choose(undefined)
        row?.focus()
      }),
    )
  }
  /** @param {Hop | undefined} hop */
  const choose = (hop) => {
    onSelect(hop ? keyOf(hop) : NOTHING)
    show(hop)
  }
  const opening =
    selected === NOTHING ? undefined : (steps.find((hop) => keyOf(hop) === selected) ?? mostTelling(steps))
  const picture = diagram(steps, lanes, width, { rows, current: opening ?? steps[0], choose })
  if (steps.length > 0) show(opening)
  return el(
    'div',
    { class: 'run' },
    head(run, steps),
    steps.length > 0
      ? el(
          'div',
          {
            class: 'diagram',
            role: 'group',
            'aria-label': 'Sequence of hops; use the arrow keys to move between them',
          },
          picture,
        )
      : drawPreview(lanes, width),
    steps.length === 0 ? missingHops(run, away) : undefined,
    details,
    run.result
      ? el(
          'section',
          { class: 'stack' },
          el('h3', {}, 'Answer'),
          el(
            'pre',
            { class: 'code', tabindex: '0', 'data-key': 'answer' },
            JSON.stringify(run.result.answer, null, 2),
          ),
        )
      : undefined,
  )
}

/**
 * Returns the hop to open before the user chooses one. A service that calls a verifier reports its verdict too, but only
 * the verifier reports the checks.
 * @param {Hop[]} steps
 */
function mostTelling(steps) {
  const refusals = steps.filter(({ verdict }) => verdict === 'refused')
  return (
    refusals.find(({ checks }) => checks && checks.length > 0) ??
    refusals[0] ??
    steps.find(({ kind, status = 0 }) => kind === 'call' && status >= 400) ??
    steps.find(({ checks }) => checks && checks.length > 0) ??
    steps.find(({ kind }) => kind === 'verification') ??
    steps[0]
  )
}

/**
 * @param {Run} run
 * @param {Hop[]} steps
 */
function head(run, steps) {
  return el(
    'header',
    { class: 'picture-head' },
    el('h2', {}, titleOf(run)),
    pill(run),
    el(
      'div',
      { class: 'actions' },
      run.result?.curl ? copyButton('Copy as curl', () => run.result?.curl ?? '') : undefined,
      ...(steps.length > 0
        ? [
            copyButton('Copy as Mermaid', () => toMermaid(steps)),
            copyButton('Copy link', () => location.origin + addressOf({ ...run, trace: run.traceId })),
          ]
        : []),
    ),
    el('p', { class: 'meta' }, 'trace ', el('code', {}, run.traceId)),
  )
}

/** Makes the verdict of a run, from its answer or, if another client started it, from its hops. @param {Run} run */
function pill(run) {
  if (run.running) return el('span', { class: 'status tone-info' }, 'running')
  const verdict = verdictOf(run)
  if (!verdict) return undefined
  const { tone, words, why } = verdict
  return el(
    'span',
    { class: 'verdict' },
    el('span', { class: `status tone-${tone}` }, words),
    why ? el('span', { class: 'why' }, why) : undefined,
  )
}

/**
 * @param {Run} run
 * @param {string | undefined} away
 */
function missingHops(run, away) {
  if (away) return el('p', { class: 'notice tone-warn' }, away)
  if (!run.settled) return undefined
  return el(
    'p',
    { class: 'notice tone-info' },
    'The hops of this run are no longer stored: it is too old, or the SSE server was restarted. Its answer is below.',
  )
}
