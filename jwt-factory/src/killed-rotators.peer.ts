import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { bundle, bundleFolder } from '../../scripts/bundle.js'
import { killRotators } from './testing/killed-rotators.ts'

/** A second each. `ROUNDS=200` for a long run. */
const ROUNDS = Number(process.env.ROUNDS ?? 40)

describe(`two factories on one folder, of which one is killed ${ROUNDS} times`, () => {
  it('lose no key that has signed', async () => {
    const root = join(import.meta.dirname, '../..')
    // A bundle starts in a tenth of the time of the sources.
    await bundle(root, { 'killed-factory': join(import.meta.dirname, 'main.ts') })
    const { signed, lost } = await killRotators(ROUNDS, [join(bundleFolder(root), 'killed-factory.cjs')])
    console.log(`${ROUNDS} × kill -9: ${signed.size} keys have signed, ${lost.length} are lost`)
    expect(signed.size).toBeGreaterThan(ROUNDS / 2)
    expect(lost).toEqual([])
  }, 1_800_000)
})
