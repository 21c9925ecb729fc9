import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { lintPolicies, type SourceFile } from '@hallpass/policy-linter'
import { describe, expect, it } from '@jest/globals'

const here = import.meta.dirname
const read = (path: string): SourceFile => ({ file: path, text: readFileSync(join(here, path), 'utf8') })
const yamlIn = (folder: string): SourceFile[] =>
  readdirSync(join(here, folder))
    .filter((name) => name.endsWith('.yaml') && name !== 'kustomization.yaml')
    .sort()
    .map((name) => read(`${folder}/${name}`))

const workloads = ['web-ui', 'backend', 'jwt-factory', 'services', 'sse', 'token-cache', 'redis'].map(
  (part) => read(`kubernetes/base/${part}/deploy.yaml`),
)
const istio = yamlIn('istio')
const original = read('istio/alternatives/original-mistake.txt')

describe('the policies in deploy/', () => {
  it.each([
    ['the numbered steps of Istio', [...workloads, ...istio]],
    [
      'the same with jwt-factory as the issuer',
      [...workloads, ...istio.slice(0, 4), ...yamlIn('istio/alternatives')],
    ],
    ['the ambient steps', [...workloads, ...yamlIn('istio/ambient')]],
    ['the steps of Gloo', [...workloads, read('gloo/web-ui/deploy-gloo.yaml'), ...yamlIn('gloo')]],
  ])('have no linter findings: %s', (_what, files) => {
    expect(lintPolicies(files)).toEqual([])
  })

  it('get a warning after step 5, which accepts requests without a token until step 6', () => {
    const found = lintPolicies([...workloads, ...istio.slice(0, 5)])
    expect(found.map(({ code, file }) => `${file} ${code}`)).toEqual([
      'istio/05-request-authentication.yaml token-not-demanded',
      'istio/05-request-authentication.yaml token-not-demanded',
    ])
  })

  it('do not repeat the mistake of the original tutorial, whose second source replaces the first', () => {
    const found = lintPolicies([...workloads, ...istio.slice(0, 5), original])
    expect(found[0]).toMatchObject({ code: 'duplicate-key', file: original.file, line: 16 })
  })
})
