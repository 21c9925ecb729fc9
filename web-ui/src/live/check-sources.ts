import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The folders of the catalogues of checks; an image has copies of them (deploy/containers/bundle.js). */
export const CHECK_FOLDERS = [
  'packages/tokens/src/rule-set',
  'packages/tokens/src/verify',
  'packages/spiffe/src/jwt-svid',
  'jwt-factory/src/keys',
]

/**
 * How a catalogue is written (packages/tokens/src/rule-set/check.ts): `check('expiry', …)` defines a check, and the
 * code up to the next one rejects a token with `fail('expired', …)` or `reject('expired', …)`.
 */
const DEFINITION_OR_REJECTION = /\b(check|fail|reject)\(\s*'([^']+)'/g

/** A line of a file, by its path in the checkout. */
export interface SourceLine {
  readonly file: string
  readonly line: number
}

/**
 * Finds the source line of each check, by reading the checkout: `expiry` is its definition, `expiry expired` the line
 * that rejects a token for that reason.
 */
export class CheckSources {
  readonly #folder: string
  readonly #url: string | undefined
  #lines: Map<string, SourceLine> | undefined

  constructor({ sourceFolder, sourceUrl }: { sourceFolder: string; sourceUrl: string | undefined }) {
    this.#folder = sourceFolder
    this.#url = sourceUrl
  }

  /** Returns the URLs by check; empty if there is neither a checkout nor a copy of these folders. */
  get links(): Record<string, SourceLine & { readonly href: string }> {
    return Object.fromEntries(
      [...this.#index()].map(([check, { file, line }]) => [
        check,
        {
          file,
          line,
          href: this.#url === undefined ? `/source?file=${file}#L${line}` : `${this.#url}/${file}#L${line}`,
        },
      ]),
    )
  }

  /** Returns the lines of a file that a check links to, and undefined for any other file. */
  read(file: unknown): readonly string[] | undefined {
    const known = [...this.#index().values()].some((line) => line.file === file)
    return known ? readFileSync(join(this.#folder, String(file)), 'utf8').split('\n') : undefined
  }

  #index(): Map<string, SourceLine> {
    this.#lines ??= new Map(CHECK_FOLDERS.flatMap((folder) => this.#scan(folder)))
    return this.#lines
  }

  #scan(folder: string): [string, SourceLine][] {
    let names: string[]
    try {
      names = readdirSync(join(this.#folder, folder))
    } catch {
      return []
    }
    return names
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
      .flatMap((name) => linesIn(`${folder}/${name}`, readFileSync(join(this.#folder, folder, name), 'utf8')))
  }
}

function linesIn(file: string, text: string): [string, SourceLine][] {
  const lines = new Map<string, SourceLine>()
  let check = ''
  for (const { 1: verb, 2: name, index } of text.matchAll(DEFINITION_OR_REJECTION)) {
    if (verb === 'check') check = name as string
    const key = verb === 'check' ? check : `${check} ${name}`
    // The first of several lines with the same reason.
    if (!lines.has(key)) lines.set(key, { file, line: text.slice(0, index).split('\n').length })
  }
  return [...lines]
}
