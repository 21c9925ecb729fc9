import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'

/** The public suite itself, where somebody has installed it; no registry that this project may use has it. */
const SUITE = 'spiffe-conformance-suite'
const installed = spawnSync('sh', ['-c', `command -v ${SUITE}`]).status === 0
if (!installed)
  console.warn(`skipped: ${SUITE} is not on the PATH (github.com/arndt-s/spiffe-conformance-test-suite)`)

;(installed ? describe : describe.skip)('spiffe-conformance-test-suite', () => {
  it('finds nothing to object to', () => {
    const harness = join(import.meta.dirname, '../testing/run-conformance-harness.ts')
    const { status, stdout, stderr } = spawnSync(SUITE, ['run', '--', 'npx', 'tsx', harness], {
      encoding: 'utf8',
      timeout: 600_000,
    })
    console.log(stdout)
    expect({ status, failed: /\bFAIL\b/.test(stdout), stderr }).toMatchObject({ status: 0, failed: false })
  }, 600_000)
})
