import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Where the decisions on a token are written. */
const FOLDERS = ['packages/tokens/src', 'packages/spiffe/src/jwt-svid']
/** `verdict.pass('expiry')`, `verdict.fail('expiry', 'expired', …)`, and the one that stands alone. */
const DECISION =
  /(?:\.(?<verb>pass|fail)\(\s*'(?<name>[^']+)'(?:,\s*'(?<reason>[^']+)')?)|(?:name: '(?<alone>[^']+)', passed: false)|(?:new JwtSvidError\(\s*'(?<code>[^']+)')/g

/** A line of a file, by its path in the checkout. */
export interface SourceLine {
  readonly file: string
  readonly line: number
}

/**
 * Which line of the source passes or fails each check, read from the checkout itself: under `expiry` the line that lets
 * it pass, under `expiry expired` the one that refuses.
 */
export class CheckSources {
  readonly #folder: string
  readonly #url: string | undefined
  #lines: Map<string, SourceLine> | undefined

  constructor({ sourceFolder, sourceUrl }: { sourceFolder: string; sourceUrl: string | undefined }) {
    this.#folder = sourceFolder
    this.#url = sourceUrl
  }

  /** Addresses by check; empty where there is no checkout, as in an image. */
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

  /** The lines of a file that a check links to; of any other file nothing is shown. */
  read(file: unknown): readonly string[] | undefined {
    const known = [...this.#index().values()].some((line) => line.file === file)
    return known ? readFileSync(join(this.#folder, String(file)), 'utf8').split('\n') : undefined
  }

  #index(): Map<string, SourceLine> {
    this.#lines ??= new Map(FOLDERS.flatMap((folder) => this.#scan(folder)))
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
      .flatMap((name) =>
        decisionsIn(`${folder}/${name}`, readFileSync(join(this.#folder, folder, name), 'utf8')),
      )
  }
}

function decisionsIn(file: string, text: string): [string, SourceLine][] {
  return [...text.matchAll(DECISION)].flatMap(({ groups, index }) => {
    const { verb, name, reason, alone, code } = groups as Record<string, string | undefined>
    const line = text.slice(0, index).split('\n').length
    if (code !== undefined) return [[`SVID ${code}`, { file, line }]]
    if (alone !== undefined) return [[alone, { file, line }]]
    if (verb === 'pass') return [[`${name}`, { file, line }]]
    return reason === undefined ? [] : [[`${name} ${reason}`, { file, line }]]
  })
}
