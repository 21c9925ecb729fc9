import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { projectFiles } from './project-files.ts'

const root = join(import.meta.dirname, '..')
const sources = projectFiles(root)
  .filter((file) => /\.(ts|js)$/.test(file))
  .filter((file) => /^[^/]+\/(.+\/)?(src|public)\//.test(file))
  .filter((file) => !/\.(test|peer)\.ts$|\/testing(\/|\.ts$)|^(e2e|benchmarks|deploy)\//.test(file))

/** Delays that need no check: numbers, named constants, and arithmetic of both. */
const CONSTANT = /^[\d_.\s*/+()-]*([A-Z][A-Z0-9_]*[\d_.\s*/+()-]*)*$/

/** Yields the last argument of each timer call. */
function* delaysIn(text: string): Generator<string> {
  for (const { index, 0: call } of text.matchAll(/\b(?:setTimeout|setInterval|AbortSignal\.timeout)\(/g)) {
    let depth = 1
    let start = index + call.length
    let end = start
    for (; depth > 0 && end < text.length; end += 1) {
      const sign = text[end] as string
      if ('([{'.includes(sign)) depth += 1
      else if (')]}'.includes(sign)) depth -= 1
      else if (sign === ',' && depth === 1 && text.slice(end + 1).trimStart()[0] !== ')') start = end + 1
    }
    yield text
      .slice(start, end - 1)
      .replace(/,\s*$/, '')
      .trim()
  }
}

/** Bounded elsewhere, in page scripts that cannot import packages. */
const IN_PAGES = [
  'sse-gateway/public/guarded-stream.js: wait',
  'web-ui/public/explorer-stream.js: milliseconds',
  'web-ui/public/live/live-page.js: timeoutMs',
]

describe('timers', () => {
  it('have constant delays, or delays bounded by callAfter, pause or cappedMs of packages/untrusted', () => {
    const found = sources.flatMap((file) =>
      [...delaysIn(readFileSync(join(root, file), 'utf8'))]
        .filter((delay) => !CONSTANT.test(delay) && !delay.startsWith('cappedMs('))
        .map((delay) => `${file}: ${delay}`),
    )
    expect(found.sort()).toEqual(IN_PAGES)
  })
})
