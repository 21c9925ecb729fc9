import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { projectFiles } from './project-files.ts'

const root = join(import.meta.dirname, '..')

/** Files with tests. In e2e, the tests of one suite can be in several modules. */
const testFiles = projectFiles(root).filter((file) => /\.test\.ts$|^e2e\/.*\.ts$/.test(file))

/** Returns each label in a test title, with the files that contain it. */
function labelsInTitles(pattern: RegExp): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>()
  for (const file of testFiles) {
    const titles = readFileSync(join(root, file), 'utf8').matchAll(
      /(?:describe|it|test|\))[^\n]*?\(\s*'([^\n]*)/g,
    )
    for (const [, title] of titles)
      for (const [label] of (title as string).matchAll(pattern))
        found.set(label, (found.get(label) ?? new Set()).add(file))
  }
  return found
}

/** Returns the labels of the rows `| label | … | tests |` of a page, with the files linked in the last cell. */
function rowsOf(page: string): Map<string, Set<string>> {
  const lines = readFileSync(join(root, page), 'utf8').split('\n')
  const rows = lines.flatMap((line) => /^\| ([A-Z]+-?\d+) \|.*\|([^|]*)\|$/.exec(line) ?? [])
  const found = new Map<string, Set<string>>()
  for (let at = 0; at < rows.length; at += 3) {
    const links = [...(rows[at + 2] as string).matchAll(/\(\.\.\/([^)]+)\)/g)]
    found.set(rows[at + 1] as string, new Set(links.map(([, file]) => file as string)))
  }
  return found
}

describe.each([
  ['docs/attacks.md', /\bAL-\d\d\b/g],
  ['docs/streams.md', /\b[TS]\d\d\b/g],
])('%s', (page, pattern) => {
  const titles = labelsInTitles(pattern)
  const rows = rowsOf(page)

  it('has a row for each label of a test, and a test for each row', () => {
    expect(rows.size).toBeGreaterThan(40)
    expect([...rows.keys()].sort()).toEqual([...titles.keys()].sort())
  })

  it('links each row to all of its tests', () => {
    const ofRows = [...rows].map(([label, files]) => [label, [...files].sort()] as const)
    const ofTitles = ofRows.map(([label]) => [label, [...(titles.get(label) ?? [])].sort()])
    expect(ofRows).toEqual(ofTitles)
  })
})
