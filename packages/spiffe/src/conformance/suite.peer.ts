import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'

/** Runs the public suite itself if it is installed. Not required in CI, which cannot download it. */
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

/** Each case starts its own harness; this many concurrent cases keep two cores busy. */
const AT_ONCE = 4

;(installed ? describe : describe.skip)('spiffe-conformance-test-suite', () => {
  it('finds the library conformant in every feature, and every case of every group passed', () => {
    const folder = mkdtempSync(join(tmpdir(), 'conformance-'))
    const results = join(folder, 'results.json')
    const harness = join(import.meta.dirname, '../testing/run-conformance-harness.ts')
    const command = ['--cmd', process.execPath, '--args', `--import,tsx,${harness}`]
    spawnSync(SUITE, ['run', ...command, '--parallel', String(AT_ONCE), '--results-file', results], {
      stdio: 'ignore',
      timeout: 900_000,
    })
    const report = JSON.parse(readFileSync(results, 'utf8')) as Report
    rmSync(folder, { recursive: true })
    console.log([...scores(report), ...claims(report)].join('\n'))
    expect(report.results.filter(({ status }) => status !== 'PASS')).toEqual([])
    expect(report.claims.map(({ status }) => status)).toEqual(report.claims.map(() => 'conformant'))
  }, 900_000)
})

/** Counts the passed cases of each group. */
function scores({ results }: Report): string[] {
  const groupOf = ({ name }: { name: string }) => name.slice(0, name.indexOf('-'))
  return [...new Set(results.map(groupOf))].map((group) => {
    const all = results.filter((result) => groupOf(result) === group)
    return `${group} ${all.filter(({ status }) => status === 'PASS').length}/${all.length}`
  })
}

const claims = (report: Report) =>
  report.claims.map(
    ({ feature, status, must_passed, must_failed }) =>
      `${feature}: ${status}, ${must_passed} passed, ${must_failed} failed`,
  )
