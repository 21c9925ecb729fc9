/** A piece of HTML in which everything that came from outside is already escaped. */
export class Markup {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  toString(): string {
    return this.#text
  }
}

/** What may stand between `${` and `}`; nothing, `false` and `null` leave no trace. */
export type Content = Markup | string | number | false | null | undefined | readonly Content[]

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/**
 * Controls, and what overrides the direction of all that follows in its block: a name could rewrite the sentence that it
 * stands in. The marks and joiners that languages need are not among them.
 */
const OVERRIDES = /(?![\t\n\r])\p{Cc}|[\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu

const escapeText = (text: string) =>
  text
    .replace(/[&<>"']/g, (character) => ENTITIES[character] as string)
    .replace(OVERRIDES, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)

/**
 * A template for HTML: what stands in it as text is kept, what is put into it is escaped, for an element's content
 * and for an attribute's value in quotes. It is no place for text inside `<script>` or `<style>`, which pages
 * under their policy do not have anyway.
 */
export function html(parts: TemplateStringsArray, ...contents: Content[]): Markup {
  let text = parts[0] as string
  contents.forEach((content, index) => {
    text += render(content) + parts[index + 1]
  })
  return new Markup(text)
}

function render(content: Content): string {
  if (content === undefined || content === null || content === false) return ''
  if (content instanceof Markup) return content.toString()
  if (Array.isArray(content)) return content.map(render).join('')
  return escapeText(String(content))
}
