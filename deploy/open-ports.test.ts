import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { parse, parseAllDocuments } from 'yaml'

interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec: Record<string, unknown>
}
interface Container {
  readonly env?: readonly { name: string; value?: string }[]
  readonly ports?: readonly { name: string; containerPort: number }[]
}
interface Ingress {
  readonly from?: readonly Record<string, unknown>[]
  readonly ports?: readonly { port: number }[]
}

const root = join(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const documents = (file: string) =>
  parseAllDocuments(read(file)).map((document) => document.toJS() as Manifest)
const find = (file: string, name: string, kind?: string) =>
  documents(file).find((one) => one.metadata.name === name && (kind === undefined || one.kind === kind))

const policies = documents('deploy/kubernetes/base/network-policies.yaml')
const ingressOf = (name: string) =>
  (policies.find(({ metadata }) => metadata.name === name)?.spec.ingress ?? []) as Ingress[]
/** The folder of each pod that clients outside the cluster reach: at its own port, or through an ingress gateway. */
const PUBLIC = { 'sse-gateway': 'sse', 'token-cache-load-balancer': 'token-cache', webui: 'web-ui' }

function containerOf(name: string, folder: string): Container {
  const { spec } = find(`deploy/kubernetes/base/${folder}/deploy.yaml`, name, 'Deployment') ?? {}
  const { template } = spec as unknown as { template: { spec: { containers: [Container] } } }
  return template.spec.containers[0]
}

describe('the events of the SSE server', () => {
  it('are read without a token only where the manifests admit nobody but the gateway', () => {
    expect(containerOf('sse-server', 'sse').env).toContainEqual({ name: 'READERS', value: 'network' })
    expect(ingressOf('sse-server')).toEqual([
      {
        from: [{ podSelector: { matchLabels: { app: 'sse-gateway' } } }],
        ports: [{ protocol: 'TCP', port: 8001 }],
      },
    ])
    const inMesh = find('deploy/istio/07-allow-the-suite.yaml', 'allow-callers-of-sse-server')
    expect(inMesh?.spec.rules).toEqual([
      { from: [{ source: { principals: ['cluster.local/ns/default/sa/sse-gateway'] } }] },
    ])
  })

  it('are published by compose on this machine', () => {
    const { environment, ports } = parse(read('docker-compose.yml'), { merge: true }).services['sse-server']
    expect([environment.READERS, ports]).toEqual([
      'network',
      [7001, 8001].map((port) => `\${BIND:-127.0.0.1}:${port}:${port}`),
    ])
  })
})

describe('the metrics of pods that clients outside the cluster reach', () => {
  it('concern these pods', () => {
    const reached = policies.filter(({ spec }) =>
      ((spec.ingress ?? []) as Ingress[]).some(
        ({ from, ports = [] }) =>
          // 15008 is HBONE, where the mesh authenticates the caller.
          ports.some(({ port }) => port !== 15008) &&
          (from === undefined || from.some((peer) => JSON.stringify(peer).includes('gateways'))),
      ),
    )
    expect(reached.map(({ metadata }) => metadata.name).sort()).toEqual(Object.keys(PUBLIC).sort())
  })

  it.each(Object.entries(PUBLIC))('%s has them on a port that is not opened', (name, folder) => {
    const { env, ports } = containerOf(name, folder)
    expect(env).toContainEqual({ name: 'METRICS_PORT', value: '9464' })
    expect(ports).toContainEqual({ name: 'metrics', containerPort: 9464 })
    expect(ingressOf(name).flatMap((rule) => rule.ports?.map(({ port }) => port))).not.toContain(9464)
  })
})
