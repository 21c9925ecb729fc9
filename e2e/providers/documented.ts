import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Settings } from './provider.ts'

/** What a page of docs/providers documents. Tests use exactly that, so that the page stays true. */
export class Documented {
  readonly #text: string
  readonly #replace: (text: string) => string

  /** @param addresses of the page, each with the one of the test that replaces it. */
  constructor(page: string, addresses: Readonly<Record<string, string>>) {
    this.#text = readFileSync(join(import.meta.dirname, `../../docs/providers/${page}.md`), 'utf8')
    this.#replace = (text) =>
      Object.entries(addresses).reduce((result, [from, to]) => result.replaceAll(from, to), text)
  }

  /** Returns the first JSON block. */
  json<T>(): T {
    const [, block] = /```json\n([\s\S]*?)```/.exec(this.#text) ?? []
    if (block === undefined) throw new Error('The page has no JSON block.')
    return JSON.parse(this.#replace(block)) as T
  }

  /** Returns the variables of a table with this heading whose rows begin with a variable and its value as code. */
  settings(heading: 'web UI' | 'backend-api'): Settings {
    const [, table = ''] = new RegExp(`^\\| ${heading} \\|.*\\n((?:\\|.*\\n)+)`, 'm').exec(this.#text) ?? []
    const rows = [...table.matchAll(/^\| `(\w+)` \| `([^`]+)`/gm)]
    if (rows.length === 0) throw new Error(`The page has no settings of ${heading}.`)
    return Object.fromEntries(rows.map(([, name, value]) => [name, this.#replace(value as string)]))
  }
}
