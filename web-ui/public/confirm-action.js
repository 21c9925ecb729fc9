// @ts-check

/**
 * @typedef {object} Question
 * @property {string} title the action as a question: `Block user1?`
 * @property {string} consequence what the action does, to whom, and how to undo it.
 * @property {string} confirm the label of the confirming button: the verb of the title, never `OK`.
 */

/** Makes the element IDs of each dialog unique. */
let asked = 0

/**
 * Asks for confirmation of an action that affects others, in a modal dialog: Tab stays inside, Escape cancels, and
 * `Cancel` has the focus, so a second Enter or click in the same place does nothing.
 * @param {Question} question
 * @returns {Promise<boolean>} true only if the user confirmed; false immediately if another dialog is open.
 */
export function confirmAction({ title, consequence, confirm }) {
  if (document.querySelector('dialog.confirm')) return Promise.resolve(false)
  const opener = /** @type {HTMLElement | null} */ (document.activeElement)
  asked += 1
  const [titleId, textId] = [`confirm-title-${asked}`, `confirm-text-${asked}`]
  const dialog = document.createElement('dialog')
  dialog.className = 'confirm'
  dialog.setAttribute('role', 'alertdialog')
  dialog.setAttribute('aria-labelledby', titleId)
  dialog.setAttribute('aria-describedby', textId)
  const form = document.createElement('form')
  form.method = 'dialog'
  const heading = Object.assign(document.createElement('h2'), { id: titleId, textContent: title })
  const text = Object.assign(document.createElement('p'), { id: textId, textContent: consequence })
  const actions = Object.assign(document.createElement('div'), { className: 'actions' })
  actions.append(answer('Cancel', 'cancel', ''), answer(confirm, 'confirm', 'danger'))
  form.append(heading, text, actions)
  dialog.append(form)
  document.body.append(dialog)
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove()
      focusAgain(opener)
      resolve(dialog.returnValue === 'confirm')
    })
    dialog.showModal()
  })
}

/**
 * @param {string} label
 * @param {string} value
 * @param {string} className
 */
const answer = (label, value, className) =>
  Object.assign(document.createElement('button'), { value, className, textContent: label })

/**
 * Returns the focus to the opener, or to the button with the same key if a live page has redrawn it meanwhile.
 * @param {HTMLElement | null} opener
 */
function focusAgain(opener) {
  if (!opener || opener.isConnected) return opener?.focus()
  const { key } = opener.dataset
  if (key === undefined) return
  const same = document.querySelector(`[data-key="${CSS.escape(key)}"]`)
  if (same instanceof HTMLElement) same.focus()
}
