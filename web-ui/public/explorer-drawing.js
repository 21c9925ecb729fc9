// @ts-check
import { copyButton, el, svg } from './explorer-dom.js'
import { FAULTS } from './explorer-scenarios.js'

/**
 * @typedef {object} Hop
 * @property {'request' | 'call' | 'verification' | 'event'} kind
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
 * @property {boolean} [running]
 * @property {readonly string[]} [lanes] who is known to take part, before anybody has told.
 * @property {{ curl: string, answer: unknown, status: number, durationMs: number }} [result]
 */

/** Between two lanes, in pixels: as the room allows, but never so little that words overlap. */
const WIDEST_LANE = 190
const NARROWEST_LANE = 118
const ROW = 46
const TOP = 64
const MARGIN = 64
/** Inside the frame of the picture. */
const PADDING = 18

/** @typedef {Readonly<Record<string, { file: string, line: number, href: string }>>} Sources where each check is decided. */

/**
 * The hops of a run as a sequence diagram, with their details below.
 * @param {Run} run
 * @param {{ width: number, sources: Sources, selected: string | undefined, onSelect: (key: string) => void }} view
 */
export function drawRun(run, { width, sources, selected, onSelect }) {
  const steps = stepsOf(run.hops)
  const lanes = lanesOf(steps, run.lanes ?? [])
  const details = el('div', { class: 'hop-details' })
  /** @type {Map<string, Element>} */
  const rows = new Map()
  const select = (/** @type {Hop} */ hop) => {
    for (const row of rows.values()) row.removeAttribute('aria-pressed')
    rows.get(keyOf(hop))?.setAttribute('aria-pressed', 'true')
    details.replaceChildren(describeHop(hop, sources))
  }
  const picture = diagram(steps, lanes, width - 2 * PADDING, rows, (hop) => {
    onSelect(keyOf(hop))
    select(hop)
  })
  // Who asks another's verdict tells of it, too; the checks are with whoever made them.
  const refusals = steps.filter(({ verdict }) => verdict === 'refused')
  const refused = refusals.find(({ checks }) => checks && checks.length > 0) ?? refusals[0]
  const opening =
    steps.find((hop) => keyOf(hop) === selected) ??
    refused ??
    steps.find(({ checks }) => checks && checks.length > 0) ??
    steps.find(({ kind }) => kind === 'verification') ??
    steps[0]
  if (opening) select(opening)
  return el(
    'div',
    { class: 'run' },
    el(
      'header',
      { class: 'picture-head' },
      el('h2', {}, run.title ?? titleOf(run)),
      ...(run.result
        ? [outcomePill(run)]
        : run.running
          ? [el('span', { class: 'status tone-info' }, 'running')]
          : []),
      el(
        'div',
        { class: 'actions' },
        ...(run.result ? [copyButton('Copy as curl', () => run.result?.curl ?? '')] : []),
        ...(steps.length > 0
          ? [
              copyButton('Copy as Mermaid', () => toMermaid(steps)),
              copyButton('Copy the link', () => `${location.origin}/explorer?trace=${run.traceId}`),
            ]
          : []),
      ),
      el('p', { class: 'meta' }, 'trace ', el('code', {}, run.traceId)),
    ),
    el('div', { class: 'diagram', tabindex: '0', role: 'group', 'aria-label': 'Sequence of hops' }, picture),
    details,
    ...(run.result
      ? [
          el(
            'section',
            { class: 'stack' },
            el('h3', {}, 'The answer'),
            el('pre', { class: 'code', tabindex: '0' }, JSON.stringify(run.result.answer, null, 2)),
          ),
        ]
      : []),
  )
}

/**
 * Who takes part in a scenario, before it has been run.
 * @param {readonly string[]} lanes
 * @param {number} width
 */
export function drawPreview(lanes, width) {
  return el(
    'div',
    { class: 'diagram preview', role: 'img', 'aria-label': `Takes part: ${lanes.join(', ')}` },
    diagram([], [...lanes], width - 2 * PADDING, new Map(), () => {}, 4),
  )
}

/** A run was accepted when its answer says so; refused otherwise. @param {Run} run */
export function isAccepted({ result }) {
  return (
    result !== undefined && result.status === 200 && !JSON.stringify(result.answer).includes('"valid":false')
  )
}

/** @param {Run} run */
function outcomePill(run) {
  const accepted = isAccepted(run)
  return el('span', { class: `status tone-${accepted ? 'good' : 'bad'}` }, accepted ? 'accepted' : 'refused')
}

/**
 * What a run is called that this page has not begun, or not since it was loaded: told by what was asked first.
 * @param {Run} run
 */
export function titleOf(run) {
  const hops = [...run.hops].sort((a, b) => a.startedAt - b.startedAt)
  const asked = hops.find(({ kind, service }) => kind === 'call' && service === 'web-ui')
  if (asked) return titleOfPath(asked.path ?? '')
  const requests = hops.filter(({ kind }) => kind === 'request')
  const first = requests.find(({ path }) => path?.startsWith('/scenario')) ?? requests[0]
  return first ? `${first.service} ${first.path}` : 'A request'
}

/** @param {string} path */
function titleOfPath(path) {
  const [, number, fault] = /^\/scenario(\d)(?:\?fault=([\w-]+))?/.exec(path) ?? []
  if (number === undefined) return path === '/' ? 'Scenario 6' : 'Scenario 7'
  const words = fault ?? (path.includes('audience=') ? 'wrong-audience' : undefined)
  return `Scenario ${number}${words ? `, ${(FAULTS[words] ?? words).toLowerCase()}` : ''}`
}

/** @param {Hop} hop */
export const keyOf = ({ kind, spanId, service }) => `${kind} ${spanId} ${service}`

/**
 * Calls and verifications in the order in which they began. The request that a call caused is the same hop, told by its
 * other end, so it is left out unless nobody told of the call; but it knows best who was called.
 * @param {Hop[]} hops
 */
function stepsOf(hops) {
  const calls = new Set(hops.filter(({ kind }) => kind === 'call').map(({ spanId }) => spanId))
  const called = new Map(
    hops.flatMap(({ kind, parentId, service }) =>
      kind === 'request' && parentId !== undefined ? [[parentId, service]] : [],
    ),
  )
  return hops
    .filter(({ kind, parentId }) => kind !== 'request' || parentId === undefined || !calls.has(parentId))
    .map((hop) => (hop.kind === 'call' ? { ...hop, peer: called.get(hop.spanId) ?? hop.peer ?? '' } : hop))
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

/**
 * @param {Hop[]} steps
 * @param {readonly string[]} known
 */
function lanesOf(steps, known) {
  const names = new Set([...(steps.some(({ kind }) => kind === 'request') ? ['you'] : []), ...known])
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
 * @param {number} room in pixels.
 * @param {Map<string, Element>} rows filled with the row of each hop.
 * @param {(hop: Hop) => void} select
 * @param {number} emptyRows
 */
function diagram(steps, lanes, room, rows, select, emptyRows = 1) {
  const lane = Math.max(
    NARROWEST_LANE,
    Math.min(WIDEST_LANE, (room - 2 * MARGIN) / Math.max(1, lanes.length - 1)),
  )
  const letters = Math.floor(lane / 7.2)
  const x = (/** @type {string} */ name) => MARGIN + lanes.indexOf(name) * lane
  const height = TOP + Math.max(emptyRows, steps.length) * ROW + 8
  const width = MARGIN * 2 + (lanes.length - 1) * lane
  const heads = lanes.map((name) =>
    svg(
      'g',
      { class: 'lane' },
      svg('line', { x1: x(name), x2: x(name), y1: 40, y2: height }),
      svg('rect', { x: x(name) - 56, y: 8, width: 112, height: 30, rx: 8 }),
      svg('text', { x: x(name), y: 28, 'text-anchor': 'middle' }, laneLabel(name)),
    ),
  )
  const drawn = steps.map((hop, index) => {
    const row = drawHop(hop, TOP + index * ROW, x, letters)
    rows.set(keyOf(hop), row)
    row.addEventListener('click', () => select(hop))
    row.addEventListener('keydown', (event) => {
      const { key } = /** @type {KeyboardEvent} */ (event)
      if (key !== 'Enter' && key !== ' ') return
      event.preventDefault()
      select(hop)
    })
    return row
  })
  return svg('svg', { viewBox: `0 0 ${width} ${height}`, width, height }, ...heads, ...drawn)
}

/** The token cache's names are longer than a lane is wide. @param {string} name */
const laneLabel = (name) => name.replace(/^token-cache-(load-)?/, 'cache ')

/**
 * @param {Hop} hop
 * @param {number} y
 * @param {(lane: string) => number} x
 * @param {number} letters that fit between two lanes.
 */
function drawHop(hop, y, x, letters) {
  const [first, second] = wordsOf(hop, letters)
  const row = svg('g', {
    class: `hop ${toneOf(hop)}`,
    tabindex: 0,
    role: 'button',
    'data-key': keyOf(hop),
    'data-kind': hop.kind,
    'data-service': hop.service,
    'data-peer': hop.peer ?? '',
    'data-path': `${hop.method ?? ''} ${hop.path ?? ''}`.trim(),
    'data-status': hop.status ?? '',
    'data-verdict': hop.verdict ?? '',
    // It begins with the words that are seen, for people who steer by voice (WCAG 2.5.3).
    'aria-label': `${first}${second} (${sentence(hop)})`,
  })
  if (hop.kind === 'verification') {
    row.append(
      svg('rect', { x: x(hop.service) - 61, y: y - 4, width: 122, height: 26, rx: 13 }),
      svg('text', { x: x(hop.service), y: y + 13, 'text-anchor': 'middle' }, first),
    )
    return row
  }
  const [from, to] = endsOf(hop)
  const right = x(to) > x(from)
  const tip = x(to) + (right ? -4 : 4)
  row.append(
    // A wide, unseen line: the seen one is too thin to be hit with a finger.
    svg('rect', {
      class: 'target',
      x: Math.min(x(from), x(to)),
      y: y - 12,
      width: Math.abs(x(to) - x(from)),
      height: ROW - 4,
    }),
    svg('line', { x1: x(from), x2: tip, y1: y + 10, y2: y + 10 }),
    svg('path', { d: `M ${tip} ${y + 10} l ${right ? -9 : 9} -5 v 10 z` }),
    svg('text', { x: (x(from) + x(to)) / 2, y: y + 3, 'text-anchor': 'middle' }, first),
    svg(
      'text',
      { class: 'hop-figures', x: (x(from) + x(to)) / 2, y: y + 25, 'text-anchor': 'middle' },
      second,
    ),
  )
  return row
}

/** From whom an arrow goes to whom. @param {Hop} hop @returns {[string, string]} */
function endsOf({ kind, service, peer = '' }) {
  if (kind === 'call') return [service, laneName(peer)]
  if (kind === 'event') return [laneName(peer), service]
  return ['you', service]
}

/**
 * What stands at a hop.
 * @param {Hop} hop
 * @param {number} letters
 * @returns {[string, string]}
 */
function wordsOf(hop, letters) {
  if (hop.kind === 'verification')
    return [hop.verdict === 'accepted' ? '✓ token accepted' : `✗ ${short(hop.reason ?? 'refused', 17)}`, '']
  if (hop.kind === 'event') return [`event: ${hop.path}`, hop.reason ?? '']
  return [
    short(`${hop.method} ${hop.path ?? ''}`, letters),
    `${hop.status ?? hop.reason ?? ''} · ${hop.durationMs.toFixed(1)} ms`,
  ]
}

/**
 * @param {string} text
 * @param {number} most
 */
const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text)

/** @param {Hop} hop */
function toneOf({ kind, verdict, status, path }) {
  if (kind === 'event') return path === 'end' ? 'tone-bad' : path === 'challenge' ? 'tone-warn' : 'tone-good'
  if (kind === 'verification') return verdict === 'accepted' ? 'tone-good' : 'tone-bad'
  if (status === undefined || status >= 400) return 'tone-bad'
  return 'tone-info'
}

/** @param {Hop} hop */
function sentence(hop) {
  const ms = `${hop.durationMs.toFixed(1)} milliseconds`
  if (hop.kind === 'verification')
    return `${hop.service} ${hop.verdict} the token${hop.reason ? `: ${hop.reason}` : ''}`
  if (hop.kind === 'event')
    return `${hop.peer} sends ${hop.service} the event ${hop.path}${hop.reason ? `: ${hop.reason}` : ''}`
  if (hop.kind === 'call')
    return `${hop.service} calls ${hop.peer}: ${hop.method} ${hop.path}, ${hop.status ?? hop.reason}, ${ms}`
  return `${hop.service} takes ${hop.method} ${hop.path}, ${hop.status}, ${ms}`
}

/**
 * @param {Hop} hop
 * @param {Sources} sources
 */
function describeHop(hop, sources) {
  return el(
    'article',
    { class: 'card hop-card' },
    el('h3', {}, sentence(hop)),
    hop.message === undefined ? undefined : el('p', { class: 'notice tone-bad' }, hop.message),
    hop.checks && hop.checks.length > 0 ? checksTable(hop.checks, hop.reason, sources) : undefined,
    hop.token ? tokenView(hop.token) : undefined,
    hop.requestBody === undefined ? undefined : body('Sent', hop.requestBody),
    hop.answerBody === undefined
      ? undefined
      : body(hop.kind === 'event' ? 'Its data' : 'Answered', hop.answerBody),
  )
}

/**
 * @param {NonNullable<Hop['checks']>} checks
 * @param {string | undefined} reason of the refusal.
 * @param {Sources} sources
 */
function checksTable(checks, reason, sources) {
  return el(
    'table',
    { class: 'checks' },
    el('caption', {}, 'Each check that the verifier made, in its order'),
    el(
      'thead',
      {},
      el(
        'tr',
        {},
        ...['Check', 'Verdict', 'Rule', 'Decided at'].map((title) => el('th', { scope: 'col' }, title)),
      ),
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
          el(
            'td',
            {},
            sourceLink(
              passed
                ? sources[name]
                : (sources[`${name} ${reason}`] ?? sources[`SVID ${reason}`] ?? sources[name]),
            ),
          ),
        ),
      ),
    ),
  )
}

/** @param {Sources[string] | undefined} source */
function sourceLink(source) {
  if (!source) return ''
  const { file, line, href } = source
  return el('a', { class: 'mono', href, title: `${file}:${line}` }, `${file.replace(/^.*\//, '')}:${line}`)
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
    const [from, to] = endsOf(hop)
    if (hop.kind === 'event')
      return `  ${id(from)}-->>${id(to)}: ${hop.path}${hop.reason ? ` (${hop.reason})` : ''}`
    return `  ${id(from)}->>${id(to)}: ${hop.method} ${hop.path} (${hop.status ?? hop.reason})`
  })
  return ['sequenceDiagram', ...lines].join('\n')
}
