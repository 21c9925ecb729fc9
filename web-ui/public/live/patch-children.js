// @ts-check

/**
 * Makes the children of an element equal to new ones, with as few changes as possible. A node that stands for the same thing
 * as before stays in the document and gets only the attributes, texts, children and action that differ.
 * @param {Element} parent
 * @param {Node[]} next
 */
export function patchChildren(parent, next) {
  const unused = [...parent.childNodes]
  const pairs = next.map((node) => {
    const index = unused.findIndex((old) => old === node || isSame(old, node))
    return { node, old: index < 0 ? undefined : unused.splice(index, 1)[0] }
  })
  // First of all, so that a node behind a removed one need not move: moving it would take its focus.
  for (const old of unused) old.remove()
  let place = parent.firstChild
  for (const { node, old } of pairs) {
    if (old === undefined) parent.insertBefore(node, place)
    else {
      if (old === place) place = place.nextSibling
      else parent.insertBefore(old, place)
      if (old !== node) patch(old, node)
    }
  }
}

/**
 * @param {Node} old
 * @param {Node} node
 */
function isSame(old, node) {
  return old.nodeName === node.nodeName && keyOf(old) === keyOf(node)
}

/**
 * Returns what a node stands for: its key, the head of a row, or the heading of a section.
 * @param {Node} node
 * @returns {string | null | undefined}
 */
function keyOf(node) {
  if (!(node instanceof HTMLElement)) return undefined
  if (node.dataset.key !== undefined) return node.dataset.key
  if (node instanceof HTMLTableRowElement) return node.querySelector('th[scope="row"]')?.textContent
  return node.nodeName === 'SECTION' ? node.querySelector('h2')?.textContent : undefined
}

/**
 * @param {Node} old
 * @param {Node} node
 */
function patch(old, node) {
  if (!(old instanceof Element && node instanceof Element)) {
    if (old.nodeValue !== node.nodeValue) old.nodeValue = node.nodeValue
    return
  }
  for (const { name } of [...old.attributes])
    if (!node.hasAttribute(name) && !isOwn(old, name)) old.removeAttribute(name)
  for (const { name, value } of node.attributes)
    if (old.getAttribute(name) !== value) setAttribute(old, name, value)
  if (old instanceof HTMLElement && node instanceof HTMLElement && old.onclick !== node.onclick)
    old.onclick = node.onclick
  // The text of a countdown or an age is set by the clock of the page.
  if (!(node.hasAttribute('data-until') || node.hasAttribute('data-since')))
    patchChildren(old, [...node.childNodes])
}

/**
 * @param {Element} element
 * @param {string} name
 * @param {string} value
 */
function setAttribute(element, name, value) {
  // The content security policy forbids the attribute `style`, and allows the property.
  if (name === 'style' && element instanceof HTMLElement) element.style.cssText = value
  else element.setAttribute(name, value)
}

/**
 * Returns whether the page itself or its user sets an attribute: an open detail, the rest of a countdown's bar.
 * @param {Element} element
 * @param {string} name
 */
function isOwn(element, name) {
  return name === 'style' || (name === 'open' && element.nodeName === 'DETAILS')
}
