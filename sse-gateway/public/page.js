// A shared asset (web-ui/public), which the gateway also serves.
import { confirmAction } from '/confirm-action.js'
import { GuardedStream } from './guarded-stream.js'
import { MessageList } from './message-list.js'
import { TokenTicket } from './token-ticket.js'
import { revokeToken } from './tokens.js'

const form = /** @type {HTMLFormElement} */ (document.getElementById('controls'))
const place = /** @type {HTMLInputElement} */ (document.getElementById('location'))
const reauthorize = /** @type {HTMLInputElement} */ (document.getElementById('reauthorize'))
const stop = /** @type {HTMLButtonElement} */ (document.getElementById('stop'))
const revoke = /** @type {HTMLButtonElement} */ (document.getElementById('revoke'))

const messages = new MessageList()
const ticket = new TokenTicket()
/** @type {GuardedStream | undefined} */
let stream

place.value = new URL('/events', window.location.href).href

form.addEventListener('submit', (event) => {
  event.preventDefault()
  stream?.close()
  ticket.begin()
  const opened = new GuardedStream(place.value, {
    onMessage: (kind, text) => {
      messages.add(kind, text)
      if (kind === 'challenge') ticket.state('challenged', 'waiting for a new token')
      if (kind === 'end' && !ticket.hasEnded) ticket.state('ended', text.replaceAll('_', ' '))
    },
    onToken: (token) => ticket.show(token),
    onClosed: () => {
      if (stream === opened) enable(false)
      if (!ticket.hasEnded) ticket.state('ended', 'closed')
    },
  })
  stream = opened
  opened.reauthorizes = reauthorize.checked
  enable(true)
  opened.open().catch((error) => {
    messages.add('error', error.message)
    opened.close()
  })
})

reauthorize.addEventListener('change', () => {
  if (stream) stream.reauthorizes = reauthorize.checked
})
stop.addEventListener('click', () => stream?.close())
revoke.addEventListener('click', async () => {
  if (!ticket.token) return
  const isSure = await confirmAction({
    title: 'Revoke this token?',
    consequence:
      'The stream closes immediately with the reason token_revoked, and the gateway rejects this token until it expires. ' +
      'A revocation cannot be undone.',
    confirm: 'Revoke',
  })
  // The current token: it may have been renewed while the dialog was open.
  if (isSure && ticket.token) revokeToken(ticket.token).catch((error) => messages.add('error', error.message))
})

/** @param {boolean} open */
function enable(open) {
  stop.disabled = !open
  revoke.disabled = !open
}
