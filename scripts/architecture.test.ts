import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, it } from '@jest/globals'

const root = join(import.meta.dirname, '..')
const page = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8')

interface Manifest {
  readonly workspaces: readonly string[]
  readonly name: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly exports?: Readonly<Record<string, string>>
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

/** Folders without a door. */
const OPEN_FOLDERS: readonly string[] = [
  // Each file is a route, and the app that registers them is their list.
  'routes',
  // Each test takes the helper that it needs.
  'testing',
]
const MAX_NAMES = 12

const foldersWithSource = workspaces.filter((folder) => existsSync(join(root, folder, 'src')))

/** A test may look past a door, at a part that the door does not show. */
const isTest = (file: string) =>
  /\.(test|peer)\.ts$/.test(file) || /(^|\/)testing(\/|\.ts$)/.test(file) || file.startsWith('conformance/')

const sourcesOf = (folder: string) =>
  readdirSync(join(root, folder, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !isTest(file))
    .sort()

/** Returns the folder that an import enters, e.g. `http`; undefined for a file of its own folder or one above it. */
function enteredBy(importer: string, imported: string): string | undefined {
  const from = dirname(importer).split('/')
  const to = dirname(imported).split('/')
  const entered = to.findIndex((name, level) => name !== '.' && name !== from[level])
  return entered < 0 ? undefined : to.slice(0, entered + 1).join('/')
}

/**
 * Returns the imports that go past a folder's `index.ts`. Not among them: `import()`, which loads a heavy file when it is
 * needed, and what an entry of the package passes on, which must load no more than the file that has it.
 */
function pastDoors(folder: string): string[] {
  const entries = Object.values(manifest(folder).exports ?? {})
  return sourcesOf(folder).flatMap((file) => {
    const isLightEntry = entries.includes(`./src/${file}`) && file !== 'index.ts'
    const source = readFileSync(join(root, folder, 'src', file), 'utf8')
    const imports = [...source.matchAll(/^(import|export) (?:type )?(?:\{[^}]*\}|\*.*) from '(\.[^']+)'$/gm)]
    return imports.flatMap(([, keyword, path]) => {
      const imported = normalize(join(dirname(file), path as string))
      const entered = enteredBy(file, imported)
      const isOutside = imported.startsWith('../')
      if (isOutside || entered === undefined || imported === `${entered}/index.ts`) return []
      if (OPEN_FOLDERS.includes(entered) || (isLightEntry && keyword === 'export')) return []
      return [`${file} imports ${imported}`]
    })
  })
}

/** Returns the levels of a `src` with too many names, of files or folders; doors and tests do not count. */
function crowdedLevels(folder: string): string[] {
  const levels = new Map<string, Set<string>>()
  for (const file of sourcesOf(folder).filter((name) => !name.endsWith('index.ts')))
    for (let name = file; name !== '.'; name = dirname(name))
      levels.set(dirname(name), (levels.get(dirname(name)) ?? new Set()).add(name))
  return [...levels].filter(([, names]) => names.size > MAX_NAMES).map(([level]) => level)
}

describe('the folders of a `src`', () => {
  it.each(foldersWithSource)('%s: imports of another folder go through its index.ts', (folder) => {
    expect(pastDoors(folder)).toEqual([])
  })

  it.each(foldersWithSource)('%s: a level has at most a dozen names', (folder) => {
    expect(crowdedLevels(folder)).toEqual([])
  })
})
