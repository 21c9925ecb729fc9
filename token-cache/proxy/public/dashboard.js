// Keeps the page up to date from /status, and reads and changes keys with the key-value API.
// Text from a service becomes a text node, never HTML.

const AGAIN_MS = 1_000
const SECONDS = 60
/** Long enough for several reports: each proxy reports its state once per second. */
const CONFIRM_MS = 4_000
const CONFIRM_AGAIN_MS = 250
const SVG = 'http://www.w3.org/2000/svg'
const KEYVALS = '/api/8/http/keyvals/tokens'

const element = (id) => document.getElementById(id)
const number = new Intl.NumberFormat('en')

/** Hits and misses per second for the last minute, newest last. */
const history = Array.from({ length: SECONDS }, () => ({ hits: 0, misses: 0 }))
let last

function show({ now, store, peers, absent }) {
  const tier = sum(peers.map(({ figures }) => figures))
  for (const name of ['hits', 'misses', 'issuerCalls', 'stale', 'blocked', 'limited'])
    element(`tier-${name}`).textContent = number.format(tier[name] ?? 0)
  element('tier-entries').textContent = number.format(store.entries)
  element('peers').replaceChildren(...peers.map((peer) => rowOf(peer, now)))

  const proxies = peers.length === 1 ? '1 proxy' : `${peers.length} proxies`
  if (!store.available)
    say('bad', 'The shared store does not answer. Cached tokens still work; new tokens have to wait')
  else if (store.problem) say('bad', store.problem)
  else if (!store.hearsOfChanges) say('warn', 'Changes made at other proxies may arrive late')
  else if (absent.length > 0) say('warn', doNotAnswer(absent))
  else say('good', `${proxies}, sharing ${store.kind === 'lmdb' ? 'lmdb on this machine' : 'Redis'}`)
  record(tier)
}

const doNotAnswer = (names) => `${names.join(', ')} ${names.length === 1 ? 'does' : 'do'} not answer`

function sum(figures) {
  const total = {}
  for (const one of figures)
    for (const [name, value] of Object.entries(one)) total[name] = (total[name] ?? 0) + value
  return total
}

function rowOf({ name, startedAt, copies, blocks, figures }, now) {
  const row = document.createElement('tr')
  const head = document.createElement('th')
  head.scope = 'row'
  head.textContent = name
  row.append(head)
  const { hits, misses, issuerCalls, stale, blocked, limited } = figures
  const values = [hits, misses, issuerCalls, stale, blocked, limited, blocks.count, copies]
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
  // A restarted proxy counts from zero.
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
  const words = `Now: ${number.format(hits)} hits and ${number.format(misses)} misses per second. Peak in the last minute: ${number.format(most)} requests per second.`
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
  // Setting an unchanged text would make screen readers announce it again.
  if (state.textContent === text) return
  state.className = `status tone-${tone}`
  state.textContent = text
}

for (const [name, work] of [
  ['user', askForUser],
  ['key', askForKey],
])
  element(`${name}-form`).addEventListener('submit', async (event) => {
    event.preventDefault()
    const what = event.submitter.value
    const whom = element(name).value.trim()
    if (what === 'block' && !(await isSure(`${name}-form`, whom))) return
    const answer = element(`${name}-answer`)
    answer.hidden = false
    try {
      answer.textContent = await work(what, whom)
    } catch (error) {
      answer.textContent = error.message
    }
  })

/** Asks for confirmation with the shared dialog, which is served at an address of its own. */
async function isSure(form, whom) {
  const { confirmAction } = await import(element(form).dataset.confirm)
  return confirmAction({
    title: `Block ${whom}?`,
    consequence:
      'Within a second, every proxy answers its requests with 403, even if a token is cached. ' +
      'Unblock removes the block.',
    confirm: 'Block',
  })
}

async function askForUser(what, user) {
  const { key, blocked, tokens } = await read(`/status/users/${encodeURIComponent(user)}`)
  // Without the store a proxy knows the blocks, but not the tokens.
  const clients = Object.keys(tokens ?? {})
  if (what === 'show') {
    const state = blocked ? 'is blocked' : 'is not blocked'
    if (tokens === null) return `${user} ${state}. Its tokens are unknown: the store does not answer.`
    return clients.length === 0
      ? `${user} ${state} and has no cached token.`
      : `${user} ${state}. Tokens: ${clients.join(', ')}`
  }
  if (what === 'unblock') {
    if (!blocked) return `${user} is not blocked.`
    await change('PATCH', key, null)
    return confirmUnblock(`${user} is unblocked`)
  }
  // Blocking a blocked user starts the five minutes again.
  await change(blocked ? 'PATCH' : 'POST', key, '0')
  const confirmed = await confirmBlock(key, `${user}, with all clients,`)
  return clients.length > 0 || tokens === null
    ? confirmed
    : `${confirmed} No token of this user is cached. Check the spelling: names are case-sensitive.`
}

async function askForKey(what, key) {
  if (what === 'show') {
    const body = await read(`${KEYVALS}?key=${encodeURIComponent(key)}`)
    return body[key] === '0' ? `${key} is blocked.` : `${key}: ${body[key]}`
  }
  if (what === 'unblock') {
    await change('PATCH', key, null)
    return confirmUnblock(`${key} gets a new token with its next request`)
  }
  const response = await fetch(KEYVALS, { method: 'PATCH', body: JSON.stringify({ [key]: '0' }) })
  if (response.status === 404)
    return `No entry has the key ${key}, so nothing was blocked. Block the user instead, or copy a key from the list of all pairs.`
  if (!response.ok) throw new Error(await textOf(response))
  return confirmBlock(key, key)
}

/** Reads the entry back before reporting that it is blocked. */
async function confirmBlock(key, whom) {
  const { count, agreed, missing } = await untilAllAgree()
  const pair = await read(`${KEYVALS}?key=${encodeURIComponent(key)}`)
  if (pair[key] !== '0') throw new Error(`${whom} is not blocked yet. Try again.`)
  const where = agreed === undefined ? 'this proxy' : `${agreed} of ${count} proxies`
  return `${whom} is blocked at ${where}${missing && `; ${missing}`}.`
}

async function confirmUnblock(what) {
  const { name, missing } = await untilAllAgree()
  return missing ? `${what} at ${name}; ${missing}.` : `${what}.`
}

/** Waits until every proxy reports the same blocks as this one. */
async function untilAllAgree() {
  const deadline = performance.now() + CONFIRM_MS
  for (;;) {
    const { name, peers, absent } = await read('/status')
    const mine = peers.find((peer) => peer.name === name)?.blocks.fingerprint
    const others = peers.filter(({ blocks }) => blocks.fingerprint !== mine).map((peer) => peer.name)
    const count = peers.length + absent.length
    const agreed = peers.length - others.length
    if (mine !== undefined && others.length === 0 && absent.length === 0)
      return { name, count, agreed, missing: '' }
    if (performance.now() > deadline) {
      // Without the store this proxy receives no reports of the others.
      if (mine === undefined) return { name, missing: 'the other proxies cannot be reached' }
      const why = [
        ...(others.length > 0 ? [`not confirmed by ${others.join(', ')}`] : []),
        ...(absent.length > 0 ? [doNotAnswer(absent)] : []),
      ]
      return { name, count, agreed, missing: why.join('; ') }
    }
    await new Promise((resolve) => setTimeout(resolve, CONFIRM_AGAIN_MS))
  }
}

async function change(method, key, value) {
  const response = await fetch(KEYVALS, { method, body: JSON.stringify({ [key]: value }) })
  if (!response.ok) throw new Error(await textOf(response))
}

async function read(path) {
  const response = await fetch(path, { cache: 'no-store' })
  if (!response.ok) throw new Error(await textOf(response))
  return response.json()
}

async function textOf(response) {
  const { error } = await response.json()
  return error.text ?? error.message
}

for (;;) {
  try {
    const response = await fetch('/status', { cache: 'no-store', signal: AbortSignal.timeout(3 * AGAIN_MS) })
    if (!response.ok) throw new Error(`It returned ${response.status}.`)
    show(await response.json())
  } catch (error) {
    say('bad', `This proxy cannot be reached. ${error.message}`)
  }
  await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
}
