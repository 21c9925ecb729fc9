/** A fragment of HTML in which all inserted values are already escaped. */
export class Markup {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  toString(): string {
    return this.#text
  }
}

/** A value that may be inserted with `${…}`; `undefined`, `false` and `null` are omitted. */
export type Content = Markup | string | number | false | null | undefined | readonly Content[]

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/**
 * Control characters, and characters that override the text direction of the rest of a block: with them, a name could
 * visually rewrite the sentence around it. Excludes the marks and joiners that some languages need.
 */
const OVERRIDES = /(?![\t\n\r])\p{Cc}|[\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu

const escapeText = (text: string) =>
  text
    .replace(/[&<>"']/g, (character) => ENTITIES[character] as string)
    .replace(OVERRIDES, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)

/**
 * Builds HTML from a template literal: the literal parts are kept, inserted values are escaped for element content
 * and quoted attribute values. Do not insert values inside `<script>` or `<style>`; the pages' content security policy
 * forbids both anyway.
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
