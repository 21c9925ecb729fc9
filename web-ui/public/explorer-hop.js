// @ts-check
import { el } from './explorer-dom.js'
import { sentence } from './explorer-run.js'
import { reasonWords } from './explorer-verdict.js'

/** @typedef {import('./explorer-run.js').Hop} Hop */
/** @typedef {Readonly<Record<string, { file: string, line: number, href: string }>>} Sources the source line of each check. */

/**
 * Draws the details of a hop: its checks, its token, its bodies.
 * @param {Hop} hop
 * @param {Sources} sources
 * @param {() => void} close
 */
export function describeHop(hop, sources, close) {
  const closer = el('button', { class: 'button quiet small', type: 'button', 'data-key': 'close' }, 'Close')
  closer.addEventListener('click', close)
  const card = el(
    'article',
    { class: 'card hop-card' },
    el('header', { class: 'hop-head' }, el('h3', {}, sentence(hop)), closer),
    notice(hop),
    hop.checks && hop.checks.length > 0 ? checksTable(hop.checks, hop.reason, sources) : undefined,
    hop.token ? tokenView(hop.token) : undefined,
    hop.requestBody === undefined ? undefined : body('Request body', hop.requestBody),
    hop.answerBody === undefined
      ? undefined
      : body(hop.kind === 'event' ? 'Event data' : 'Answer body', hop.answerBody),
  )
  card.addEventListener('keydown', ({ key }) => {
    if (key === 'Escape') close()
  })
  return card
}

/**
 * Explains why a hop failed. jsonwebtoken has one message for several reasons, so both reason and message are shown.
 * @param {Hop} hop
 */
function notice({ kind, reason, message }) {
  if (reason === undefined || kind === 'event')
    return message === undefined ? undefined : el('p', { class: 'notice tone-bad' }, message)
  const words = reasonWords(reason)
  const said =
    message === undefined ? '' : kind === 'call' ? ` ${message}` : ` The caller receives: “${message}”`
  return el('p', { class: 'notice tone-bad' }, `${words[0]?.toUpperCase()}${words.slice(1)}.${said}`)
}

/**
 * @param {NonNullable<Hop['checks']>} checks
 * @param {string | undefined} reason of the rejection.
 * @param {Sources} sources
 */
function checksTable(checks, reason, sources) {
  return el(
    'table',
    { class: 'checks' },
    el('caption', {}, 'The checks of the verifier, in order'),
    el(
      'thead',
      {},
      el(
        'tr',
        {},
        ...['Check', 'Verdict', 'Rule', 'Source'].map((title) => el('th', { scope: 'col' }, title)),
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
          el('td', {}, sourceLink((passed ? undefined : sources[`${name} ${reason}`]) ?? sources[name])),
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
  if (rule.startsWith('JWT-SVID'))
    return el('a', { href: 'https://spiffe.io/docs/latest/spiffe-specs/jwt-svid/', rel: 'noreferrer' }, rule)
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
    el('p', { class: 'meta' }, 'The signature is removed, so this token cannot be replayed.'),
  )
}

/**
 * @param {string} title
 * @param {string} text
 */
function body(title, text) {
  return el('div', {}, el('h4', {}, title), el('pre', { class: 'code', tabindex: '0' }, text))
}
