import { readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { dirname, relative, resolve } from 'node:path'

/** A position in a bundle. Its path starts at a word or bracket; folder names may contain spaces and brackets. */
const POSITION = /(?<=^|[\s(])(\/(?:(?!\\n| \(\/)[^"'\n])*?\/bundles\/[\w-]+\.cjs):(\d+):(\d+)/g
const maps = new Map<string, SourceMap | undefined>()

/**
 * Maps positions in bundles to positions in the sources, relative to the working folder. The launcher does this when it
 * prints a line, so that services need not keep their source maps in memory.
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
