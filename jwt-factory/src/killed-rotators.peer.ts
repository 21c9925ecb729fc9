import { describe, expect, it } from '@jest/globals'
import { killRotators } from './testing/killed-rotators.ts'

describe('two factories on one folder, of which one is killed 200 times', () => {
  it('lose no key that has signed', async () => {
    const { signed, lost } = await killRotators(200)
    console.log(`${signed.size} keys have signed, ${lost.length} are lost`)
    expect(lost).toEqual([])
  }, 1_800_000)
})
