import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'

const root = join(import.meta.dirname, '..')
const bundles = join(root, '.hallpass/bundles')

describe('the bundles', () => {
  it('contain no import(), which fails in a script restored from V8’s code cache', () => {
    const files = readdirSync(bundles).filter((name) => name.endsWith('.cjs'))
    expect(files).toEqual(
      expect.arrayContaining(['start.cjs', 'hallpass.cjs', 'web-ui.cjs', 'service-a.cjs']),
    )
    // Except methods with that name.
    const dynamicImport = /(?<![.#\w$])import\s*\((?![\w$,\s]*\)\s*\{)/
    const live = files.filter((name) => dynamicImport.test(readFileSync(join(bundles, name), 'utf8')))
    expect(live).toEqual([])
  })
})

describe('the end-to-end tests', () => {
  it('start the bundles that users start, never a service from its sources', () => {
    const files = readdirSync(join(root, 'e2e'), { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.ts'),
    )
    expect(files.length).toBeGreaterThan(20)
    const imports = files.flatMap((name) =>
      [...readFileSync(join(root, 'e2e', name), 'utf8').matchAll(/(?:from|import\() ?'([^']+)'/g)].map(
        ([, specifier]) => `${name} imports ${specifier}`,
      ),
    )
    expect(imports.filter((line) => /@hallpass\/[\w-]+\/app$|\.\.\/[^']*\/src\//.test(line))).toEqual([])
  })
})
