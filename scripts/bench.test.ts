import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'

const bench = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, 'bench.js'), ...args], { encoding: 'utf8' })

describe('npm run bench', () => {
  it('rejects an unknown benchmark and names it', () => {
    const { status, stdout, stderr } = bench('scenarios', 'nope')
    expect([status, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(/^Benchmark not found: nope\.\n\nnpm run bench .+\n.+ some: .*scenarios/)
  })

  it('prints its help', () => {
    expect(bench('--help')).toMatchObject({ status: 0, stdout: expect.stringMatching(/^npm run bench /) })
  })
})
