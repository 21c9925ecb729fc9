import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'

/** The public suite itself, where somebody has installed it; it is not demanded of CI, which cannot fetch it. */
const SUITE = 'spiffe-conformance-suite'
const installed = spawnSync('sh', ['-c', `command -v ${SUITE}`]).status === 0
if (!installed)
  console.warn(
    `skipped: ${SUITE} is not on the PATH (cmd/suite of github.com/arndt-s/spiffe-conformance-test-suite)`,
  )

interface Report {
  readonly results: readonly { name: string; level: string; status: string; message?: string }[]
  readonly claims: readonly { feature: string; status: string; must_passed: number; must_failed: number }[]
}

;(installed ? describe : describe.skip)('spiffe-conformance-test-suite', () => {
  it('finds the library conformant in every feature', () => {
    const folder = mkdtempSync(join(tmpdir(), 'conformance-'))
    const results = join(folder, 'results.json')
    const harness = join(import.meta.dirname, '../testing/run-conformance-harness.ts')
    spawnSync(SUITE, ['run', '--cmd', 'npx', '--args', `tsx,${harness}`, '--results-file', results], {
      stdio: 'ignore',
      timeout: 900_000,
    })
    const report = JSON.parse(readFileSync(results, 'utf8')) as Report
    rmSync(folder, { recursive: true })
    for (const { feature, status, must_passed, must_failed } of report.claims)
      console.log(`${feature}: ${status}, ${must_passed} passed, ${must_failed} failed`)
    expect(report.results.filter(({ status }) => status !== 'PASS')).toEqual([])
    expect(report.claims.map(({ status }) => status)).toEqual(report.claims.map(() => 'conformant'))
  }, 900_000)
})
