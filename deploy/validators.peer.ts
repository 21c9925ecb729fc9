import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from '@jest/globals'

const here = import.meta.dirname
const folder = mkdtempSync(join(tmpdir(), 'hallpass-validators-'))
afterAll(() => rmSync(folder, { recursive: true }))

const yamlIn = (path: string) =>
  readdirSync(join(here, path), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.yaml') && !name.includes('kustomization') && !name.includes('overlays'))
    .map((name) => join(here, path, name))

/** These are built from source, for minutes; who has them gets more, and nobody is kept waiting. */
function describeWithValidator(program: string) {
  if (spawnSync('sh', ['-c', 'command -v "$0"', program]).status === 0) return describe
  console.warn(`skipped: ${program} is not installed`)
  return describe.skip
}

function run(program: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    maxBuffer: 32 * 1024 * 1024,
  })
  return { status, output: `${stdout}${stderr}` }
}

function overlay(name: string): string {
  const folderOf = join(here, 'kubernetes', name)
  const { status, output } = run('kubectl', 'kustomize', '--load-restrictor=LoadRestrictionsNone', folderOf)
  if (status !== 0) throw new Error(output)
  const file = join(folder, `${name.replaceAll('/', '-')}.yaml`)
  writeFileSync(file, output)
  return file
}
const sets = ['base', 'overlays/istio', 'overlays/ambient']

describeWithValidator('kubectl')('kubectl kustomize', () => {
  it.each(sets)('builds %s', (set) => {
    expect(overlay(set)).toContain(folder)
  })
})

describeWithValidator('istioctl')('istioctl', () => {
  it('finds every Istio file valid', () => {
    const { status, output } = run('istioctl', 'validate', ...yamlIn('istio').flatMap((file) => ['-f', file]))
    expect([status, output]).toEqual([0, expect.not.stringContaining('Error')])
  })

  it('finds the original’s mistake, which kubectl does not', () => {
    const { status, output } = run(
      'istioctl',
      'validate',
      '-f',
      join(here, 'istio/alternatives/original-mistake.txt'),
    )
    expect([status, output]).toEqual([1, expect.stringContaining('"source" already set')])
  })

  it.each(sets)('analyzes %s without a finding', (set) => {
    const { status, output } = run('istioctl', 'analyze', '--use-kube=false', overlay(set))
    expect([status, output]).toEqual([0, expect.stringContaining('No validation issues found')])
  })
})

describeWithValidator('kube-score')('kube-score', () => {
  // Fixed tags are not pulled anew; Istio's own gateway pod is in no manifest.
  const ignored = ['container-image-pull-policy', 'networkpolicy-targets-pod'].flatMap((test) => [
    '--ignore-test',
    test,
  ])
  it.each(sets)('has nothing critical to say about %s', (set) => {
    const { output } = run('kube-score', 'score', '--output-format', 'ci', ...ignored, overlay(set))
    expect(output.split('\n').filter((line) => line.startsWith('[CRITICAL]'))).toEqual([])
  })
})

describeWithValidator('hadolint')('hadolint', () => {
  it('has nothing to say about the Dockerfile', () => {
    expect(run('hadolint', join(here, '../Dockerfile'))).toEqual({ status: 0, output: '' })
  })
})
