import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Where the decisions on a token are written. */
const FOLDERS = ['packages/tokens/src', 'packages/spiffe/src/jwt-svid']
/** `verdict.pass('expiry')`, `verdict.fail('expiry', 'expired', …)`, and the one that stands alone. */
const DECISION =
  /(?:\.(?<verb>pass|fail)\(\s*'(?<name>[^']+)'(?:,\s*'(?<reason>[^']+)')?)|(?:name: '(?<alone>[^']+)', passed: false)|(?:new JwtSvidError\(\s*'(?<code>[^']+)')/g

/**
 * A JWT-SVID that passes a check leaves no trace of it in the source (packages/spiffe throws, or goes on), so its line is
 * the condition that did not throw, known by these words.
 */
const SVID_FILE = 'packages/spiffe/src/jwt-svid/parse.ts'
const SVID_CONDITIONS: Readonly<Record<string, string>> = {
  'SVID form': 'return parseCompact(token)',
  'SVID algorithm': '!isAllowed(header.alg)',
  'SVID critical': "'crit' in header",
  'SVID type': "'typ' in header",
  'SVID claims': 'readClaims(parsed.payload)',
  'SVID subject': 'SpiffeId.parse(sub)',
  'SVID key': 'if (fitting.length === 0)',
  'SVID signature': '!fitting.some(',
  'SVID audience': 'expected.includes(name)',
  'SVID times': 'now - leeway > exp',
}

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

  /** Addresses by check; empty where neither a checkout nor a copy of these folders is, which an image has. */
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
      .flatMap((name) => {
        const file = `${folder}/${name}`
        const text = readFileSync(join(this.#folder, file), 'utf8')
        return file === SVID_FILE
          ? [...conditionsIn(file, text), ...decisionsIn(file, text)]
          : decisionsIn(file, text)
      })
  }
}

function conditionsIn(file: string, text: string): [string, SourceLine][] {
  const lines = text.split('\n')
  return Object.entries(SVID_CONDITIONS).flatMap(([check, words]) => {
    const index = lines.findIndex((line) => line.includes(words))
    return index === -1 ? [] : [[check, { file, line: index + 1 }]]
  })
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
