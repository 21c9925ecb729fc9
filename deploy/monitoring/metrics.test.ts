import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp, loadConfig } from '@hallpass/jwt-factory/app'
import { silentLog } from '@hallpass/service-kit'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { parser } from '@prometheus-io/lezer-promql'
import { parse } from 'yaml'

const folder = import.meta.dirname

interface Query {
  readonly from: string
  readonly text: string
}

/** Returns every query of the alerts and of the dashboard. */
function queries(): Query[] {
  const alerts = parse(readFileSync(join(folder, 'alerts.yaml'), 'utf8'))
  const dashboard = JSON.parse(readFileSync(join(folder, 'grafana-dashboard.json'), 'utf8'))
  type Rule = { alert: string; expr: string }
  type Panel = { title: string; targets?: { expr: string }[] }
  return [
    ...(alerts.groups as { rules: Rule[] }[]).flatMap(({ rules }) =>
      rules.map(({ alert, expr }) => ({ from: alert, text: expr })),
    ),
    ...(dashboard.panels as Panel[]).flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => ({ from: title, text: expr.replaceAll('$__rate_interval', '5m') })),
    ),
  ]
}

/** Returns the metrics of a query with the labels that it selects or groups by, read with Prometheus's own grammar. */
function used({ from, text }: Query): { metrics: Map<string, string[]>; grouping: string[] } {
  const metrics = new Map<string, string[]>()
  const grouping: string[] = []
  const tree = parser.parse(text)
  let labels: string[] = []
  tree.iterate({
    enter(node) {
      const source = text.slice(node.from, node.to)
      if (node.type.isError) throw new Error(`${from} is not PromQL near ${source || text}`)
      if (node.name === 'VectorSelector') labels = []
      const { parent } = node.node
      if (node.name === 'Identifier' && parent?.name === 'VectorSelector') metrics.set(source, labels)
      if (node.name === 'LabelName') (parent?.name === 'GroupingLabels' ? grouping : labels).push(source)
    },
  })
  return { metrics, grouping }
}

/** Returns the labels of each metric in Prometheus's text format. */
function exported(text: string): Map<string, Set<string>> {
  const metrics = new Map<string, Set<string>>()
  for (const line of text.split('\n')) {
    const [, name, labels = ''] = /^([a-z]\w*)(?:\{(.*)\})? /.exec(line) ?? []
    if (name === undefined) continue
    const known = metrics.get(name) ?? new Set()
    for (const [, label] of labels.matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g)) known.add(label as string)
    metrics.set(name, known)
  }
  return metrics
}

/** Prometheus adds these when it scrapes. */
const ADDED = ['job', 'instance']

describe('deploy/monitoring', () => {
  let stateFolder: string
  let stop = async () => {}
  let text: string
  let scraped: Map<string, Set<string>>
  beforeAll(async () => {
    stateFolder = await mkdtemp(join(tmpdir(), 'hallpass-monitoring-'))
    const env = { PORT: '0', ALGORITHM: 'ES256', STATE_FOLDER: stateFolder, ROTATE_EVERY: '24h' }
    const factory = await createApp(loadConfig(env), silentLog)
    stop = () => factory.stop()
    const { http: url } = await factory.start()
    const post = async (path: string, body: object = {}) =>
      (
        await fetch(url + path, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        })
      ).text()
    await fetch(`${url}/keys/servicea`)
    const token = await post('/issueToken/servicea', { aud: 'serviceb' })
    await post('/verify/servicea', { token, aud: 'serviceb', sub: 'servicea' })
    await post('/verify/servicea', { token, aud: 'servicec', sub: 'servicea' })
    await post('/keys/servicea/withdraw')
    text = await (await fetch(`${url}/metrics`)).text()
    scraped = exported(text)
  })
  afterAll(async () => {
    await stop()
    await rm(stateFolder, { recursive: true })
  })

  it('uses only metrics and labels that the services export', () => {
    const all = queries()
    expect(all.length).toBeGreaterThan(30)
    const missing = all.flatMap((query) => {
      const { metrics, grouping } = used(query)
      return [...metrics].flatMap(([metric, labels]) => {
        if (metric === 'up') return []
        const known = scraped.get(metric)
        if (!known) return [`${query.from}: ${metric}`]
        return [...labels, ...grouping]
          .filter((label) => !known.has(label) && !ADDED.includes(label))
          .map((label) => `${query.from}: ${metric} has no label ${label}`)
      })
    })
    expect(missing).toEqual([])
  })

  it('sees a query for a metric or a label that does not exist', () => {
    const { metrics, grouping } = used({ from: 'x', text: 'sum by (who) (rate(tokens_total{key="a"}[5m]))' })
    expect([[...metrics], grouping]).toEqual([[['tokens_total', ['key']]], ['who']])
    expect(() => used({ from: 'x', text: 'sum by (who) rate(' })).toThrow('x is not PromQL')
  })

  it('exports the values that alerts select', () => {
    for (const series of [
      'scheduled_rotations_total{outcome="failed",service="jwt-factory"} 0',
      'audit_events_total{action="withdrawn",service="jwt-factory"} 1',
      'requests_refused_total{reason="audience_mismatch",service="jwt-factory"} 1',
      'rotation_period_seconds{service="jwt-factory"} 86400',
      'store_available{service="jwt-factory"} 1',
      'store_changes_current{service="jwt-factory"} 1',
    ])
      expect(text).toContain(`${series}\n`)
  })
})
