// Keeps the page up to date from /status, and asks the key-value API for one key.
// No markup is ever made from text: everything goes in as text nodes.

const AGAIN_MS = 1_000
const SECONDS = 60
const SVG = 'http://www.w3.org/2000/svg'
const KEYVALS = '/api/8/http/keyvals/tokens'

const element = (id) => document.getElementById(id)
const number = new Intl.NumberFormat('en')

/** Hits and misses in each of the last seconds, the newest last. */
const history = Array.from({ length: SECONDS }, () => ({ hits: 0, misses: 0 }))
let last

function show({ now, store, peers }) {
  const tier = sum(peers.map(({ figures }) => figures))
  for (const name of ['hits', 'misses', 'issuerCalls', 'stale', 'blocked'])
    element(`tier-${name}`).textContent = number.format(tier[name] ?? 0)
  element('tier-entries').textContent = number.format(store.entries)
  element('peers').replaceChildren(...peers.map((peer) => rowOf(peer, now)))

  const proxies = peers.length === 1 ? '1 proxy' : `${peers.length} proxies`
  if (!store.available)
    say('bad', 'The shared store does not answer: known tokens go on, new ones have to wait')
  else if (!store.hearsOfChanges) say('warn', 'Changes of other proxies may be late')
  else say('good', `${proxies}, sharing ${store.kind === 'lmdb' ? 'lmdb on this machine' : 'Redis'}`)
  record(tier)
}

function sum(figures) {
  const total = {}
  for (const one of figures)
    for (const [name, value] of Object.entries(one)) total[name] = (total[name] ?? 0) + value
  return total
}

function rowOf({ name, startedAt, copies, figures }, now) {
  const row = document.createElement('tr')
  const head = document.createElement('th')
  head.scope = 'row'
  head.textContent = name
  row.append(head)
  const values = [figures.hits, figures.misses, figures.issuerCalls, figures.stale, figures.blocked, copies]
  for (const text of [duration(now - startedAt), ...values.map((value) => number.format(value))]) {
    const cell = document.createElement('td')
    cell.textContent = text
    row.append(cell)
  }
  return row
}

function duration(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
}

function record(tier) {
  const { hits = 0, misses = 0 } = tier
  // A proxy that was started anew counts from nothing.
  if (last) history.push({ hits: Math.max(0, hits - last.hits), misses: Math.max(0, misses - last.misses) })
  while (history.length > SECONDS) history.shift()
  last = { hits, misses }
  draw()
}

function draw() {
  const most = Math.max(1, ...history.map(({ hits, misses }) => hits + misses))
  const width = 600 / SECONDS
  const bars = history.flatMap(({ hits, misses }, index) => {
    const [hitHeight, missHeight] = [hits, misses].map((count) => (count / most) * 116)
    return [
      bar('hit', index * width, 120 - hitHeight, width, hitHeight),
      bar('miss', index * width, 120 - hitHeight - missHeight, width, missHeight),
    ]
  })
  const { hits, misses } = history.at(-1)
  const words = `Just now ${number.format(hits)} hits and ${number.format(misses)} misses a second; at most ${number.format(most)} requests in the last minute’s seconds.`
  element('chart').replaceChildren(...bars)
  element('chart').setAttribute('aria-label', words)
  element('chart-words').textContent = words
}

function bar(kind, x, y, width, height) {
  const rectangle = document.createElementNS(SVG, 'rect')
  rectangle.setAttribute('class', kind)
  for (const [name, value] of Object.entries({ x: x + 1, y, width: width - 2, height }))
    rectangle.setAttribute(name, String(value))
  return rectangle
}

function say(tone, text) {
  const state = element('state')
  // What has not changed need not be read aloud again.
  if (state.textContent === text) return
  state.className = `status tone-${tone}`
  state.textContent = text
}

element('key-form').addEventListener('submit', async (event) => {
  event.preventDefault()
  const key = element('key').value
  const what = event.submitter.value
  if (what === 'block' && !(await isSure(key))) return
  const answer = element('key-answer')
  answer.hidden = false
  try {
    answer.textContent = await ask(what, key)
  } catch (error) {
    answer.textContent = error.message
  }
})

/** The question is asked by a component of the house, which has an address of its own. */
async function isSure(key) {
  const { confirmAction } = await import(element('key-form').dataset.confirm)
  return confirmAction({
    title: `Block ${key}?`,
    consequence:
      'Every proxy answers its requests with 403 within a second, whatever token is cached. ' +
      'Lift the block removes it.',
    confirm: 'Block',
  })
}

async function ask(what, key) {
  if (what === 'show') return shown(key, await fetch(`${KEYVALS}?key=${encodeURIComponent(key)}`))
  const body = JSON.stringify({ [key]: what === 'block' ? '0' : null })
  let response = await fetch(KEYVALS, { method: 'PATCH', body })
  // A key without an entry is blocked by adding it.
  if (response.status === 404 && what === 'block') response = await fetch(KEYVALS, { method: 'POST', body })
  if (!response.ok) return (await response.json()).error.text
  return what === 'block'
    ? `${key} is blocked at every proxy.`
    : `${key} gets a new token with its next request.`
}

async function shown(key, response) {
  const body = await response.json()
  if (!response.ok) return body.error.text
  return body[key] === '0' ? `${key} is blocked.` : `${key}: ${body[key]}`
}

for (;;) {
  try {
    const response = await fetch('/status', { cache: 'no-store', signal: AbortSignal.timeout(3 * AGAIN_MS) })
    if (!response.ok) throw new Error(`The proxy answers ${response.status}.`)
    show(await response.json())
  } catch (error) {
    say('bad', `This proxy cannot be asked. ${error.message}`)
  }
  await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
}
