import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { parse } from 'yaml'
import { describeWithValidator, run } from '../validators.ts'

const here = import.meta.dirname
const file = (name: string) => join(here, name)

interface Rule {
  readonly alert: string
  readonly annotations: { readonly runbook: string }
}
const rules = (parse(readFileSync(file('alerts.yaml'), 'utf8')).groups as { rules: Rule[] }[]).flatMap(
  (group) => group.rules,
)

describe('alerts.yaml', () => {
  it('has a paragraph in the README for each alert', () => {
    const readme = readFileSync(file('README.md'), 'utf8')
    for (const { alert, annotations } of rules) {
      expect(readme).toContain(`### ${alert}\n`)
      expect(annotations.runbook).toBe(`deploy/monitoring/README.md#${alert.toLowerCase()}`)
    }
    expect([...readme.matchAll(/^### /gm)]).toHaveLength(rules.length)
  })
})

describeWithValidator('promtool')('promtool', () => {
  it('finds the rules and the configuration valid', () => {
    expect(run('promtool', 'check', 'rules', file('alerts.yaml'))).toEqual({
      status: 0,
      output: expect.stringContaining(`${rules.length} rules found`),
    })
    const { status, output } = run('promtool', 'check', 'config', '--syntax-only', file('prometheus.yaml'))
    expect([status, output]).toEqual([0, expect.stringContaining('SUCCESS')])
  })

  it('sees each alert fire, and not fire', () => {
    const cases = parse(readFileSync(file('alerts.test.yaml'), 'utf8')).tests as { name: string }[]
    expect(cases.map(({ name }) => `Hallpass${name}`).toSorted()).toEqual(
      rules.flatMap(({ alert }) => [`${alert} does not fire`, `${alert} fires`]).toSorted(),
    )
    const { status, output } = run('promtool', 'test', 'rules', file('alerts.test.yaml'))
    expect([status, output]).toEqual([0, expect.stringContaining('SUCCESS')])
  })
})

const hasGo = spawnSync('go', ['version']).status === 0
if (!hasGo && process.env.CI === 'true') throw new Error('CI must run these tests: go is not installed.')
if (!hasGo)
  console.warn('skipped: go is not installed')

  /** Grafana's own reader of its published schema: unknown members and missing ones are errors. */
;(hasGo ? describe : describe.skip)("Grafana's schema", () => {
  const module = mkdtempSync(join(tmpdir(), 'grafana-schema-'))
  afterAll(() => rmSync(module, { recursive: true }))
  beforeAll(() => {
    copyFileSync(file('peers/main.go'), join(module, 'main.go'))
    const requirement = 'github.com/grafana/grafana-foundation-sdk/go v0.0.22'
    writeFileSync(join(module, 'go.mod'), `module peer\n\ngo 1.24.0\n\nrequire ${requirement}\n`)
    for (const args of [
      ['mod', 'tidy'],
      ['build', '-o', 'check', '.'],
    ])
      execFileSync('go', args, { cwd: module, stdio: ['ignore', 'ignore', 'pipe'] })
  }, 120_000)
  const check = (dashboard: string) => {
    const { status, stdout } = spawnSync(join(module, 'check'), { input: dashboard, encoding: 'utf8' })
    return { status, output: stdout }
  }
  const dashboard = readFileSync(file('grafana-dashboard.json'), 'utf8')

  it('accepts the dashboard', () => {
    expect(check(dashboard)).toEqual({ status: 0, output: '' })
  })

  it.each([
    ['a misspelled member', dashboard.replace('"gridPos"', '"gridpos"'), 'gridpos'],
    ['a wrong type', dashboard.replace('"editable": true', '"editable": "yes"'), 'cannot unmarshal string'],
  ])('rejects %s', (_, broken, output) => {
    expect(check(broken)).toEqual({ status: 1, output: expect.stringContaining(output) })
  })
})
