import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from '@jest/globals'

const root = join(import.meta.dirname, '..')
const page = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8')

interface Manifest {
  readonly workspaces: readonly string[]
  readonly name: string
  readonly dependencies?: Readonly<Record<string, string>>
}
const manifest = (folder: string) =>
  JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as Manifest

const workspaces = manifest('.').workspaces.flatMap((pattern) =>
  pattern.endsWith('/*')
    ? readdirSync(join(root, pattern.slice(0, -2)), { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => pattern.replace('*', name))
    : [pattern],
)
const folderOf = new Map(workspaces.map((folder) => [manifest(folder).name, folder]))

/** Returns the workspaces on which a workspace depends, as written on the page. */
function importsOf(folder: string): string[] {
  const names = Object.keys(manifest(folder).dependencies ?? {}).filter((name) => folderOf.has(name))
  return names.map((name) => (folderOf.get(name) as string).replace('packages/', '')).sort()
}

/** Returns the rows of the page's tables by their first cell, e.g. `tokens`; the last cell lists imports. */
function rows(): Map<string, string[]> {
  const cells = page
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').map((cell) => cell.trim()))
  return new Map(
    cells.map((row) => [
      (row[1] as string).replaceAll('`', ''),
      [...(row.at(-2) as string).matchAll(/`([^`]+)`/g)].map(([, name]) => name as string).sort(),
    ]),
  )
}

describe('ARCHITECTURE.md', () => {
  it.each(workspaces)('lists the imports of %s', (folder) => {
    expect(rows().get(folder.replace('packages/', ''))).toEqual(importsOf(folder))
  })

  it('names no workspace that does not exist', () => {
    expect([...rows().keys()].sort()).toEqual(
      workspaces.map((folder) => folder.replace('packages/', '')).sort(),
    )
  })

  it('shows no cycle among packages', () => {
    const packages = workspaces.filter((folder) => folder.startsWith('packages/'))
    const reaches = (from: string, seen: string[] = []): string[] =>
      seen.includes(from)
        ? seen
        : importsOf(`packages/${from}`).reduce((all, next) => reaches(next, all), [...seen, from])
    for (const folder of packages) {
      const name = folder.replace('packages/', '')
      const onwards = importsOf(folder).flatMap((next) => reaches(next))
      expect(onwards).not.toContain(name)
    }
  })

  it('names only existing files in "Follow one request"', () => {
    const walk = /## Follow one request\n[\s\S]*?```\n([\s\S]*?)```/.exec(page)?.[1] ?? ''
    const files = walk.split('\n').flatMap((line) => {
      const [first, ...next] = line.match(/[\w./-]+\.ts\b/g) ?? []
      if (first === undefined) return []
      // `→ routes/issue-token.ts` is relative to the folder of the first file of the line.
      return [first, ...next.map((file) => join(dirname(first), file))]
    })
    expect(files.length).toBeGreaterThan(15)
    expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([])
  })

  it('names no file that does not exist', () => {
    const named = [...page.matchAll(/`([\w./-]+\/[\w.-]+\.ts)`/g)].map(([, file]) => file as string)
    const isThere = (file: string) => ['', 'packages'].some((folder) => existsSync(join(root, folder, file)))
    expect(named.length).toBeGreaterThan(2)
    expect(named.filter((file) => !isThere(file))).toEqual([])
  })

  it.each([
    ...workspaces,
    ...['packages', 'spiffe', 'token-cache', 'scripts', 'e2e', 'benchmarks', 'deploy', 'docs'],
  ])('%s has a README', (folder) => {
    expect(readdirSync(join(root, folder))).toContain('README.md')
  })
})
