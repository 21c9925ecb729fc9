import { readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { dirname, relative, resolve } from 'node:path'

/** From a slash at the beginning of a word or a bracket; the folder's own name may hold spaces and brackets. */
const POSITION = /(?<=^|[\s(])(\/(?:(?!\\n| \(\/)[^"'\n])*?\/bundles\/[\w-]+\.cjs):(\d+):(\d+)/g
const maps = new Map<string, SourceMap | undefined>()

/**
 * Makes the places of a stack trace in a bundle those of the sources, relative to the working folder. It is done here,
 * when a line is shown, because a service that did it itself would hold its source map for the rest of its life.
 */
export function pointToSources(line: string): string {
  return line.replace(POSITION, (position, bundle: string, row: string, column: string) => {
    const entry = mapOf(bundle)?.findEntry(Number(row) - 1, Number(column) - 1)
    if (!entry || !('originalSource' in entry)) return position
    const source = resolve(dirname(bundle), entry.originalSource)
    return `${relative(process.cwd(), source)}:${entry.originalLine + 1}:${entry.originalColumn + 1}`
  })
}

function mapOf(bundle: string): SourceMap | undefined {
  if (!maps.has(bundle)) maps.set(bundle, readMap(`${bundle}.map`))
  return maps.get(bundle)
}

function readMap(file: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(file, 'utf8')))
  } catch {
    return undefined
  }
}
