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

const escapeText = (text: string) => text.replace(/[&<>"']/g, (character) => ENTITIES[character] as string)

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
