import { indentJson } from './json-text.js'
import { judgeToken } from './judge-token.js'
import { cleanToken, NotAToken, readToken } from './read-token.js'
import { exampleToken, verifySignature } from './verify-signature.js'

/** @param {string} id */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id))
/** @param {string} id */
const field = (id) => /** @type {HTMLInputElement | HTMLTextAreaElement} */ (document.getElementById(id))

const VERDICTS = /** @type {const} */ ({
  pass: ['good', 'passed'],
  fail: ['bad', 'failed'],
  open: ['info', 'not checked'],
})

/** @type {import('./read-token.js').Token | undefined} */
let token
/** @type {import('./judge-token.js').Finding | undefined} */
let signature

/** Reads the fields and shows the token and the findings. */
async function read() {
  const text = cleanToken(field('token').value)
  token = undefined
  signature = undefined
  element('result').hidden = text === ''
  element('fault').hidden = true
  element('parts').replaceChildren()
  element('reading').hidden = true
  // The old verdict must not stay next to a new token.
  element('findings').replaceChildren()
  element('verdict').textContent = ''
  if (text === '') return
  try {
    token = readToken(text)
  } catch (error) {
    element('fault').hidden = false
    element('fault').textContent = error instanceof NotAToken ? error.message : 'This is not a token.'
    return
  }
  element('reading').hidden = false
  element('parts').append(...colouredParts(token.parts))
  element('header').textContent = indentJson(token.texts.header)
  element('claims').textContent = indentJson(token.texts.claims)
  const read = token
  const verified = await verifySignature(read, field('key').value)
  // The input may have changed while the signature was verified.
  if (token !== read) return
  signature = verified
  judge()
}

/** Makes the checks again: those of the times change while the page is open. */
function judge() {
  if (!token || !signature) return
  const expected = { issuer: field('issuer').value.trim(), audience: field('audience').value.trim() }
  const findings = [signature, ...judgeToken(token, expected, Date.now() / 1000)]
  const list = element('findings')
  // An unchanged row stays in place, so that its text stays selected and screen readers do not start again.
  findings.forEach((finding, index) => {
    const old = list.children[index]
    const key = JSON.stringify(finding)
    if (old instanceof HTMLElement && old.dataset.says === key) return
    const next = row(finding)
    next.dataset.says = key
    if (old) old.replaceWith(next)
    else list.append(next)
  })
  while (list.children.length > findings.length) list.lastElementChild?.remove()
  const failed = findings.filter(({ verdict }) => verdict === 'fail')
  const open = findings.filter(({ verdict }) => verdict === 'open')
  const [tone, words] =
    failed.length > 0
      ? ['bad', `A strict verifier rejects this token: ${failed.map(({ name }) => name).join(', ')}.`]
      : open.length > 0
        ? ['info', `No check failed. Not checked: ${open.map(({ name }) => name).join(', ')}.`]
        : ['good', 'All checks passed.']
  element('verdict').className = `notice tone-${tone}`
  // Setting an unchanged text would make screen readers announce it every second.
  if (element('verdict').textContent !== words) element('verdict').textContent = words
}

/** @param {readonly string[]} parts */
const colouredParts = (parts) =>
  parts.flatMap((part, index) => {
    const span = document.createElement('span')
    span.className = ['token-header', 'token-claims', 'token-signature'][index] ?? ''
    span.textContent = part
    return index === 0 ? [span] : ['.', span]
  })

/** @param {import('./judge-token.js').Finding} finding */
function row({ name, verdict, detail, rule }) {
  const [tone, word] = VERDICTS[verdict]
  const item = document.createElement('li')
  item.className = `finding tone-${tone}`
  for (const [tag, className, text] of /** @type {const} */ ([
    ['span', 'status', word],
    ['b', '', name],
    ['span', '', detail],
    ['small', 'meta', rule],
  ])) {
    const child = document.createElement(tag)
    child.className = className
    child.textContent = text
    item.append(child)
  }
  return item
}

/** @param {{ expired?: boolean, tampered?: boolean }} options */
async function showExample(options) {
  const example = await exampleToken(options)
  field('token').value = example.token
  field('key').value = example.key
  field('issuer').value = 'https://jwt-factory/'
  field('audience').value = 'serviceb'
  await read()
}

for (const id of ['token', 'key']) field(id).addEventListener('input', () => void read())
for (const id of ['issuer', 'audience']) field(id).addEventListener('input', judge)
element('example').addEventListener('click', () => void showExample({}))
element('example-expired').addEventListener('click', () => void showExample({ expired: true }))
element('example-tampered').addEventListener('click', () => void showExample({ tampered: true }))
element('clear').addEventListener('click', () => {
  for (const id of ['token', 'key', 'issuer', 'audience']) field(id).value = ''
  void read()
  field('token').focus()
})
// The next user of this browser must not find the pasted token, for example with the Back button.
addEventListener('pagehide', () => {
  for (const id of ['token', 'key']) field(id).value = ''
})
setInterval(judge, 1000)
element('decoder').hidden = false
