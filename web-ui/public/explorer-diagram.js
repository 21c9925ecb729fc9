// @ts-check
import { el, svg } from './explorer-dom.js'
import { endsOf, keyOf, sentence } from './explorer-run.js'

/** @typedef {import('./explorer-run.js').Hop} Hop */

/** Distance of two lanes in pixels: as wide as the space allows, but never so narrow that labels overlap. */
const WIDEST_LANE = 190
const NARROWEST_LANE = 118
const ROW = 46
/** Width of a verdict, unless its label needs more. */
const PILL = 122
const TOP = 64
const MARGIN = 72
/** Inside the frame of the diagram. */
const PADDING = 18

/**
 * Draws the services of a scenario before its first run.
 * @param {readonly string[]} lanes
 * @param {number} width
 */
export function drawPreview(lanes, width) {
  const nobody = { rows: new Map(), current: undefined, choose: () => {} }
  return el(
    'div',
    { class: 'diagram preview', role: 'img', 'aria-label': `Services: ${lanes.join(', ')}` },
    diagram([], [...lanes], width, nobody, 4),
  )
}

/**
 * Draws hops as a sequence diagram, one row for each.
 * @param {Hop[]} steps
 * @param {string[]} lanes
 * @param {number} width of the frame, in pixels.
 * @param {{
 *   rows: Map<string, SVGElement>,
 *   current: Hop | undefined,
 *   choose: (hop: Hop | undefined) => void,
 * }} view `rows` is filled with the row of each hop; `current` is the row in the tab order.
 * @param {number} emptyRows
 */
export function diagram(steps, lanes, width, { rows, current, choose }, emptyRows = 1) {
  const room = width - 2 * PADDING
  const lane = Math.max(
    NARROWEST_LANE,
    Math.min(WIDEST_LANE, (room - 2 * MARGIN) / Math.max(1, lanes.length - 1)),
  )
  const letters = Math.floor(lane / 7.2)
  const x = (/** @type {string} */ name) => MARGIN + lanes.indexOf(name) * lane
  const height = TOP + Math.max(emptyRows, steps.length) * ROW + 8
  const breadth = MARGIN * 2 + (lanes.length - 1) * lane
  const heads = lanes.map((name) =>
    svg(
      'g',
      { class: 'lane' },
      svg('line', { x1: x(name), x2: x(name), y1: 40, y2: height }),
      svg('rect', { x: x(name) - 56, y: 8, width: 112, height: 30, rx: 8 }),
      svg('text', { x: x(name), y: 28, 'text-anchor': 'middle' }, laneLabel(name)),
    ),
  )
  /** @type {SVGElement[]} */
  const drawn = steps.map((hop, index) => {
    const row = drawHop(hop, TOP + index * ROW, x, letters)
    const isOpen = () => row.getAttribute('aria-expanded') === 'true'
    const toggle = () => choose(isOpen() ? undefined : hop)
    rows.set(keyOf(hop), row)
    row.setAttribute('tabindex', hop === current ? '0' : '-1')
    row.addEventListener('click', toggle)
    row.addEventListener('focus', () => {
      for (const other of drawn) other.setAttribute('tabindex', other === row ? '0' : '-1')
    })
    row.addEventListener('keydown', (event) => {
      const { key } = /** @type {KeyboardEvent} */ (event)
      const next = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: drawn.length - 1 }[key]
      if (next !== undefined) drawn[next]?.focus()
      else if (key === 'Enter' || key === ' ') toggle()
      else if (key === 'Escape' && isOpen()) choose(undefined)
      else return
      event.preventDefault()
    })
    return row
  })
  return svg('svg', { viewBox: `0 0 ${breadth} ${height}`, width: breadth, height }, ...heads, ...drawn)
}

/** Shortens the token cache's names, which are longer than a lane is wide. @param {string} name */
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
    role: 'button',
    'aria-controls': 'hop-details',
    'aria-expanded': 'false',
    'data-key': keyOf(hop),
    'data-kind': hop.kind,
    'data-service': hop.service,
    'data-peer': hop.peer ?? '',
    'data-path': `${hop.method ?? ''} ${hop.path ?? ''}`.trim(),
    'data-status': hop.status ?? '',
    'data-verdict': hop.verdict ?? '',
    'data-reason': hop.reason ?? '',
    'data-jti': String(hop.token?.claims.jti ?? ''),
    // Begins with the visible label, for users of speech input (WCAG 2.5.3).
    'aria-label': `${first}${second} (${sentence(hop)})`,
  })
  if (hop.kind === 'verification') {
    const half = Math.min(MARGIN - 1, Math.max(PILL / 2, 3.4 * first.length + 8))
    row.append(
      svg('rect', { x: x(hop.service) - half, y: y - 4, width: 2 * half, height: 26, rx: 13 }),
      svg('text', { x: x(hop.service), y: y + 13, 'text-anchor': 'middle' }, first),
    )
    return row
  }
  const [from, to] = endsOf(hop)
  const right = x(to) > x(from)
  const tip = x(to) + (right ? -4 : 4)
  row.append(
    // An invisible, larger target: the visible line is too thin for a finger.
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

/**
 * Returns the two labels of a hop.
 * @param {Hop} hop
 * @param {number} letters
 * @returns {[string, string]}
 */
function wordsOf(hop, letters) {
  if (hop.kind === 'verification')
    return [hop.verdict === 'accepted' ? '✓ token accepted' : `✗ ${short(hop.reason ?? 'rejected', 18)}`, '']
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
