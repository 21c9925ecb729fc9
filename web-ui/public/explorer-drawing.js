// @ts-check
import { copyButton, el, svg } from './explorer-dom.js'

/**
 * @typedef {object} Hop
 * @property {'request' | 'call' | 'verification'} kind
 * @property {string} traceId
 * @property {string} spanId
 * @property {string} [parentId]
 * @property {string} service
 * @property {string} [peer]
 * @property {string} [method]
 * @property {string} [path]
 * @property {number} [status]
 * @property {number} startedAt
 * @property {number} durationMs
 * @property {{ header: Record<string, unknown>, claims: Record<string, unknown> }} [token]
 * @property {{ name: string, passed: boolean, rule: string, detail?: string }[]} [checks]
 * @property {'accepted' | 'refused'} [verdict]
 * @property {string} [reason]
 * @property {string} [message]
 * @property {string} [requestBody]
 * @property {string} [answerBody]
 *
 * @typedef {object} Run
 * @property {string} traceId
 * @property {number} startedAt
 * @property {Hop[]} hops
 * @property {string} [title]
 * @property {{ curl: string, answer: unknown, status: number, durationMs: number }} [result]
 */

const LANE = 190
const ROW = 46
const TOP = 64
const MARGIN = 80

/**
 * The hops of a run as a sequence diagram, with their details below.
 * @param {Run} run
 */
export function drawRun(run) {
  const steps = stepsOf(run.hops)
  const lanes = lanesOf(steps)
  const details = el('div', { class: 'hop-details' })
  const select = (/** @type {Hop} */ hop) => details.replaceChildren(describeHop(hop))
  const refused = steps.find(({ verdict }) => verdict === 'refused')
  const opening = refused ?? steps.find(({ kind }) => kind === 'verification') ?? steps[0]
  if (opening) select(opening)
  return el(
    'div',
    {},
    el(
      'header',
      { class: 'picture-head' },
      el('h2', {}, run.title ?? 'A request'),
      el('p', { class: 'meta' }, 'trace ', el('code', {}, run.traceId)),
      el(
        'div',
        { class: 'actions' },
        ...(run.result ? [copyButton('Copy as curl', () => run.result?.curl ?? '')] : []),
        copyButton('Copy as Mermaid', () => toMermaid(steps)),
      ),
    ),
    el(
      'div',
      { class: 'diagram', tabindex: '0', role: 'group', 'aria-label': 'Sequence of hops' },
      diagram(steps, lanes, select),
    ),
    details,
    ...(run.result
      ? [
          el('h3', {}, 'The answer'),
          el('pre', { class: 'code', tabindex: '0' }, JSON.stringify(run.result.answer, null, 2)),
        ]
      : []),
  )
}

/**
 * Calls and verifications in the order in which they began. The request that a call caused is the same hop, told by its
 * other end, so it is left out unless nobody told of the call.
 * @param {Hop[]} hops
 */
function stepsOf(hops) {
  const calls = new Set(hops.filter(({ kind }) => kind === 'call').map(({ spanId }) => spanId))
  return hops
    .filter(({ kind, parentId }) => kind !== 'request' || parentId === undefined || !calls.has(parentId))
    .sort((a, b) => a.startedAt - b.startedAt || depth(a, hops) - depth(b, hops))
}

/**
 * @param {Hop} hop
 * @param {Hop[]} hops
 * @returns {number}
 */
function depth(hop, hops) {
  const parent = hops.find(({ spanId, kind }) => spanId === hop.parentId && kind !== 'verification')
  return parent && parent !== hop ? 1 + depth(parent, hops) : 0
}

/** @param {Hop[]} steps */
function lanesOf(steps) {
  const names = new Set(steps.some(({ kind }) => kind === 'request') ? ['you'] : [])
  for (const { service, peer } of steps) {
    names.add(service)
    if (peer) names.add(laneName(peer))
  }
  return [...names]
}

/** Peers are called by their audience (`serviceb`), services tell by their process (`service-b`). @param {string} name */
const laneName = (name) => name.replace(/^service([abc])$/, 'service-$1')

/**
 * @param {Hop[]} steps
 * @param {string[]} lanes
 * @param {(hop: Hop) => void} select
 */
function diagram(steps, lanes, select) {
  const x = (/** @type {string} */ name) => MARGIN + lanes.indexOf(name) * LANE
  const height = TOP + steps.length * ROW + 24
  const width = MARGIN * 2 + (lanes.length - 1) * LANE
  const heads = lanes.map((name) =>
    svg(
      'g',
      { class: 'lane' },
      svg('line', { x1: x(name), x2: x(name), y1: 40, y2: height }),
      svg('rect', { x: x(name) - 72, y: 8, width: 144, height: 30, rx: 8 }),
      svg('text', { x: x(name), y: 28, 'text-anchor': 'middle' }, name),
    ),
  )
  const rows = steps.map((hop, index) => {
    const y = TOP + index * ROW
    const tone = toneOf(hop)
    const [first, second] = wordsOf(hop)
    const row = svg('g', {
      class: `hop ${tone}`,
      tabindex: 0,
      role: 'button',
      'data-kind': hop.kind,
      'data-service': hop.service,
      'data-verdict': hop.verdict ?? '',
      // It begins with the words that are seen, for people who steer by voice (WCAG 2.5.3).
      'aria-label': `${first}${second} (${sentence(hop)})`,
    })
    if (hop.kind === 'verification') {
      row.append(
        svg('rect', { x: x(hop.service) - 62, y: y - 4, width: 124, height: 26, rx: 13 }),
        svg('text', { x: x(hop.service), y: y + 13, 'text-anchor': 'middle' }, first),
      )
    } else {
      const from = hop.kind === 'call' ? hop.service : 'you'
      const to = hop.kind === 'call' ? laneName(hop.peer ?? '') : hop.service
      const right = x(to) > x(from)
      const tip = x(to) + (right ? -4 : 4)
      row.append(
        svg('line', { x1: x(from), x2: tip, y1: y + 10, y2: y + 10 }),
        svg('path', { d: `M ${tip} ${y + 10} l ${right ? -9 : 9} -5 v 10 z` }),
        svg('text', { x: (x(from) + x(to)) / 2, y: y + 3, 'text-anchor': 'middle' }, first),
        svg(
          'text',
          { class: 'hop-figures', x: (x(from) + x(to)) / 2, y: y + 25, 'text-anchor': 'middle' },
          second,
        ),
      )
    }
    row.addEventListener('click', () => select(hop))
    row.addEventListener('keydown', (event) => {
      if (
        /** @type {KeyboardEvent} */ (event).key === 'Enter' ||
        /** @type {KeyboardEvent} */ (event).key === ' '
      ) {
        event.preventDefault()
        select(hop)
      }
    })
    return row
  })
  return svg('svg', { viewBox: `0 0 ${width} ${height}`, width, height }, ...heads, ...rows)
}

/**
 * What stands at a hop.
 * @param {Hop} hop
 * @returns {[string, string]}
 */
function wordsOf(hop) {
  if (hop.kind === 'verification')
    return [hop.verdict === 'accepted' ? '✓ token accepted' : `✗ ${hop.reason ?? 'refused'}`, '']
  return [
    `${hop.method} ${short(hop.path ?? '')}`,
    `${hop.status ?? hop.reason ?? ''} · ${hop.durationMs.toFixed(1)} ms`,
  ]
}

/** @param {string} path */
const short = (path) => (path.length > 26 ? `${path.slice(0, 25)}…` : path)

/** @param {Hop} hop */
function toneOf({ kind, verdict, status }) {
  if (kind === 'verification') return verdict === 'accepted' ? 'tone-good' : 'tone-bad'
  if (status === undefined || status >= 400) return 'tone-bad'
  return 'tone-info'
}

/** @param {Hop} hop */
function sentence(hop) {
  const ms = `${hop.durationMs.toFixed(1)} milliseconds`
  if (hop.kind === 'verification')
    return `${hop.service} ${hop.verdict} the token${hop.reason ? `: ${hop.reason}` : ''}`
  if (hop.kind === 'call')
    return `${hop.service} calls ${hop.peer}: ${hop.method} ${hop.path}, ${hop.status ?? hop.reason}, ${ms}`
  return `${hop.service} takes ${hop.method} ${hop.path}, ${hop.status}, ${ms}`
}

/** @param {Hop} hop */
function describeHop(hop) {
  return el(
    'article',
    { class: 'card hop-card' },
    el('h3', {}, sentence(hop)),
    hop.message === undefined ? undefined : el('p', { class: 'notice' }, hop.message),
    hop.checks && hop.checks.length > 0 ? checksTable(hop.checks) : undefined,
    hop.token ? tokenView(hop.token) : undefined,
    hop.requestBody === undefined ? undefined : body('Sent', hop.requestBody),
    hop.answerBody === undefined ? undefined : body('Answered', hop.answerBody),
  )
}

/** @param {NonNullable<Hop['checks']>} checks */
function checksTable(checks) {
  return el(
    'table',
    { class: 'checks' },
    el('caption', {}, 'Each check that the verifier made, in its order'),
    el(
      'thead',
      {},
      el('tr', {}, ...['Check', 'Verdict', 'Rule'].map((title) => el('th', { scope: 'col' }, title))),
    ),
    el(
      'tbody',
      {},
      ...checks.map(({ name, passed, rule, detail }) =>
        el(
          'tr',
          { class: passed ? 'tone-good' : 'tone-bad' },
          el('td', {}, name, detail === undefined ? undefined : el('small', {}, detail)),
          el('td', {}, passed ? '✓ passed' : '✗ failed'),
          el('td', {}, ruleLink(rule)),
        ),
      ),
    ),
  )
}

/** @param {string} rule */
function ruleLink(rule) {
  const match = /^RFC (\d+)(?: §([\d.]+))?/.exec(rule)
  if (!match) return rule
  const anchor = match[2] ? `#section-${match[2]}` : ''
  return el('a', { href: `https://www.rfc-editor.org/rfc/rfc${match[1]}${anchor}`, rel: 'noreferrer' }, rule)
}

/** @param {NonNullable<Hop['token']>} token */
function tokenView({ header, claims }) {
  return el(
    'div',
    { class: 'token' },
    el(
      'pre',
      { class: 'code token-header', tabindex: '0', 'aria-label': 'Header' },
      JSON.stringify(header, null, 2),
    ),
    el(
      'pre',
      { class: 'code token-claims', tabindex: '0', 'aria-label': 'Claims' },
      JSON.stringify(claims, null, 2),
    ),
    el(
      'p',
      { class: 'meta' },
      'The signature was cut before this was told: what is shown here is worth nothing to a thief.',
    ),
  )
}

/**
 * @param {string} title
 * @param {string} text
 */
function body(title, text) {
  return el('div', {}, el('h4', {}, title), el('pre', { class: 'code', tabindex: '0' }, text))
}

/** @param {Hop[]} steps */
export function toMermaid(steps) {
  const id = (/** @type {string} */ name) => name.replace(/\W/g, '_')
  const lines = steps.map((hop) => {
    if (hop.kind === 'verification')
      return `  Note over ${id(hop.service)}: ${hop.verdict === 'accepted' ? 'token accepted' : `refused (${hop.reason})`}`
    const from = hop.kind === 'call' ? hop.service : 'you'
    const to = hop.kind === 'call' ? laneName(hop.peer ?? '') : hop.service
    return `  ${id(from)}->>${id(to)}: ${hop.method} ${hop.path} (${hop.status ?? hop.reason})`
  })
  return ['sequenceDiagram', ...lines].join('\n')
}
