// @ts-check

/**
 * @typedef {object} Question
 * @property {string} title the action as a question: `Block user1?`
 * @property {string} consequence what happens next, to whom, and how it can be undone.
 * @property {string} confirm the label of the button that acts: the verb of the title, never `OK`.
 */

/** Numbers the dialogs, so that each is described by its own text. */
let asked = 0

/**
 * Asks once before an action that others notice. A modal dialog of the browser: the tab key stays inside, Escape
 * cancels, and `Cancel` has the focus, so that a second Enter or click on the same spot does nothing.
 * @param {Question} question
 * @returns {Promise<boolean>} true only if the user confirmed; false at once while another question is open.
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
 * A live page may have drawn its buttons again meanwhile: the one with the same key is the same button.
 * @param {HTMLElement | null} opener
 */
function focusAgain(opener) {
  if (!opener || opener.isConnected) return opener?.focus()
  const { key } = opener.dataset
  if (key === undefined) return
  const same = document.querySelector(`[data-key="${CSS.escape(key)}"]`)
  if (same instanceof HTMLElement) same.focus()
}
