import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from '@jest/globals'
import {
  built,
  checkWithModels,
  describeWithValidator,
  istioSchemas,
  kubernetesSchemas,
  kubernetesSchemasFolder,
  peersFolder,
  run,
  scratch,
  sets,
  yamlIn,
} from './validators.ts'

const here = import.meta.dirname
const all = ['kubernetes/base', 'istio', 'gloo'].flatMap(yamlIn)
const policy = join(here, 'istio/06-allow-webui-to-backend-with-user.yaml')
const deployment = join(here, 'kubernetes/base/web-ui/deploy.yaml')

/** Writes a copy of one of our files with a mistake in it. */
function broken(file: string, right: string, wrong: string): string {
  const text = readFileSync(file, 'utf8')
  if (!text.includes(right)) throw new Error(`${file} does not contain ${right}`)
  const copy = join(scratch, `broken-${wrong.replace(/\W+/g, '-')}.yaml`)
  writeFileSync(copy, text.replace(right, wrong))
  return copy
}

describeWithValidator('kubectl')('kubectl kustomize', () => {
  it.each(sets)('builds %s', (set) => {
    expect(readFileSync(built(set), 'utf8')).toContain('kind: Deployment')
  })
})

describeWithValidator(
  'kubectl',
  'kubeconform',
  kubernetesSchemasFolder,
)('kubeconform, with the schemas of Kubernetes 1.33', () => {
  const conform = (...args: string[]) =>
    run(
      'kubeconform',
      '-strict',
      '-summary',
      '-schema-location',
      `${kubernetesSchemas()}/{{.ResourceKind}}{{.KindSuffix}}.json`,
      ...args,
    )
  const kinds = ['cert-manager.io', 'gateway.networking.k8s.io', 'gloo.solo.io', 'istio.io']
  /** Skips kinds without a Kubernetes schema, except `known`; @kubernetes-models covers all of them but Gloo's. */
  const skip = (...known: string[]) => {
    const objects = all.flatMap((file) => [
      ...readFileSync(file, 'utf8').matchAll(/^apiVersion: (\S+)\nkind: (\S+)/gm),
    ])
    const others = objects.filter(([, group = '']) =>
      kinds.some((one) => !known.includes(one) && group.includes(one)),
    )
    return ['-skip', [...new Set(others.map(([, version, kind]) => `${version}/${kind}`))].join()]
  }

  it('finds nothing in any file', () => {
    const { status, output } = conform(...skip(), ...all)
    expect([status, output]).toEqual([0, expect.stringMatching(/Invalid: 0, Errors: 0/)])
  })

  it.each(sets)('finds nothing in %s', (set) => {
    const { status, output } = conform(...skip(), built(set))
    expect([status, output]).toEqual([0, expect.stringMatching(/Invalid: 0, Errors: 0/)])
  })

  it('finds an unknown member of a deployment', () => {
    const { status, output } = conform(broken(deployment, 'replicas: 1', 'replica: 1'))
    expect([status, output]).toEqual([1, expect.stringContaining('replica')])
  })

  describeWithValidator('istioctl')('with the schemas of Istio', () => {
    const location = () => [
      '-schema-location',
      `${istioSchemas()}/{{.ResourceKind}}_{{.Group}}_{{.ResourceAPIVersion}}.json`,
    ]

    it('finds nothing in any file', () => {
      const { status, output } = conform(...location(), ...skip('istio.io'), ...all)
      expect([status, output]).toEqual([0, expect.stringMatching(/Invalid: 0, Errors: 0/)])
    })

    it('finds an unknown member of a policy', () => {
      const { status, output } = conform(
        ...location(),
        broken(policy, 'requestPrincipals:', 'requestPrincipal:'),
      )
      expect([status, output]).toEqual([1, expect.stringContaining('requestPrincipal')])
    })
  })
})

describeWithValidator(join(peersFolder, 'models'))('@kubernetes-models', () => {
  it('finds nothing in any file', () => {
    const { checked, findings } = checkWithModels(all)
    expect(findings).toEqual([])
    expect(checked).toBeGreaterThan(100)
  })

  it('finds values of the wrong type', () => {
    const gateway = broken(join(here, 'istio/web-ui/gateway-api.yaml'), 'port: 443', 'port: https')
    const { findings } = checkWithModels([gateway, broken(policy, 'principals:', 'principals: x #')])
    expect(findings).toEqual([expect.stringContaining('port'), expect.stringContaining('principals')])
  })
})

describeWithValidator('kubectl', 'istioctl')('istioctl', () => {
  it('finds every Istio file valid', () => {
    const { status, output } = run('istioctl', 'validate', ...yamlIn('istio').flatMap((file) => ['-f', file]))
    expect([status, output]).toEqual([0, expect.not.stringContaining('Error')])
  })

  it('finds the mistake of the original tutorial, which kubectl misses', () => {
    const { status, output } = run(
      'istioctl',
      'validate',
      '-f',
      join(here, 'istio/alternatives/original-mistake.txt'),
    )
    expect([status, output]).toEqual([1, expect.stringContaining('"source" already set')])
  })

  it.each(sets)('analyzes %s without a finding', (set) => {
    const { status, output } = run('istioctl', 'analyze', '--use-kube=false', built(set))
    expect([status, output]).toEqual([0, expect.stringContaining('No validation issues found')])
  })
})

describeWithValidator('kubectl', 'kube-score')('kube-score', () => {
  // Tags are fixed, so pulling again changes nothing; Istio's own gateway pod is in no manifest.
  const ignored = ['container-image-pull-policy', 'networkpolicy-targets-pod'].flatMap((test) => [
    '--ignore-test',
    test,
  ])
  it.each(sets)('finds nothing critical in %s', (set) => {
    const { output } = run('kube-score', 'score', '--output-format', 'ci', ...ignored, built(set))
    expect(output).toContain('[OK]')
    expect(output.split('\n').filter((line) => line.startsWith('[CRITICAL]'))).toEqual([])
  })
})

describeWithValidator('hadolint')('hadolint', () => {
  it('finds nothing in the Dockerfile', () => {
    expect(run('hadolint', join(here, '../Dockerfile'))).toEqual({ status: 0, output: '' })
  })

  it('finds unpinned packages and the root user in another Dockerfile', () => {
    const file = join(scratch, 'Dockerfile')
    writeFileSync(file, 'FROM node\nRUN apt-get install curl\nUSER root\n')
    expect(run('hadolint', file)).toEqual({ status: 1, output: expect.stringMatching(/DL3006[\s\S]*DL3002/) })
  })
})
