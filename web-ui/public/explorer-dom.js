// @ts-check

/**
 * Makes an element. Strings become text nodes, so data of a service is never parsed as HTML.
 * @param {string} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string | undefined)} children
 * @returns {HTMLElement}
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...children.filter((child) => child !== undefined))
  return element
}

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...(Node | string)} children
 * @returns {SVGElement}
 */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value))
  element.append(...children)
  return element
}

/**
 * Makes a button that copies a string and confirms it.
 * @param {string} label
 * @param {() => string} text
 */
export function copyButton(label, text) {
  const button = el(
    'button',
    { class: 'button quiet', type: 'button', 'data-key': label, 'aria-live': 'polite' },
    label,
  )
  button.addEventListener('click', async () => {
    // Browsers offer the clipboard only to secure contexts, and the user may deny access.
    button.textContent = await Promise.resolve()
      .then(() => navigator.clipboard.writeText(text()))
      .then(
        () => 'Copied',
        () => 'Not copied: no clipboard access',
      )
    setTimeout(() => {
      button.textContent = label
    }, 1500)
  })
  return button
}
