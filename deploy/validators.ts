import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe } from '@jest/globals'
import { parseAllDocuments } from 'yaml'

const here = import.meta.dirname
/** The folder into which `.ci/install-peers` installs third-party programs. */
export const peersFolder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'hallpass/peers')

export const kubernetesSchemasFolder = join(peersFolder, 'kubernetes-schemas')
/** The Kubernetes kinds that our files contain. */
const KINDS = [
  'configmap-v1',
  'deployment-apps-v1',
  'horizontalpodautoscaler-autoscaling-v2',
  'namespace-v1',
  'networkpolicy-networking-v1',
  'persistentvolumeclaim-v1',
  'poddisruptionbudget-policy-v1',
  'clusterrolebinding-rbac-v1',
  'secret-v1',
  'service-v1',
  'serviceaccount-v1',
]

/** A temporary folder for the validators' input, deleted after the tests. */
export const scratch = mkdtempSync(join(tmpdir(), 'hallpass-validators-'))
afterAll(() => rmSync(scratch, { recursive: true }))

/** Describes tests that need programs or files; skips them with a warning if one is missing. */
export function describeWithValidator(...programs: readonly string[]) {
  const missing = programs.filter(
    (name) => spawnSync('sh', ['-c', 'test -e "$0" || command -v "$0"', name]).status !== 0,
  )
  if (missing.length === 0) return describe
  console.warn(`skipped: ${missing.join(' and ')} not installed (.ci/install-peers)`)
  return describe.skip
}

export function run(program: string, ...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    maxBuffer: 32 * 1024 * 1024,
  })
  return { status, output: `${stdout}${stderr}` }
}

/** Returns the manifests of a folder that are applied as they are, or included whole by a kustomization. */
export const yamlIn = (path: string) =>
  readdirSync(join(here, path), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.yaml') && !name.includes('kustomization') && !name.includes('overlays'))
    .map((name) => join(here, path, name))

export const sets = ['base', 'overlays/istio', 'overlays/ambient'] as const

/** Builds a kustomization as `kubectl apply -k` would, and returns the file. */
export function built(name: string): string {
  const folder = join(here, 'kubernetes', name)
  const { status, output } = run('kubectl', 'kustomize', '--load-restrictor=LoadRestrictionsNone', folder)
  if (status !== 0) throw new Error(output)
  const file = join(scratch, `${name.replaceAll('/', '-')}.yaml`)
  writeFileSync(file, output)
  return file
}

interface Schema {
  type?: string | string[]
  properties?: Record<string, Schema>
  additionalProperties?: boolean | Schema
  items?: Schema
  [extension: `x-${string}`]: unknown
}
interface Crd {
  readonly spec: {
    readonly group: string
    readonly names: { readonly kind: string }
    readonly versions: readonly { name: string; schema: { openAPIV3Schema: Schema } }[]
  }
}

/** Writes self-contained schemas of the Kubernetes kinds, one file each, as kubeconform requires. */
export function kubernetesSchemas(): string {
  const folder = join(scratch, 'kubernetes-schemas')
  mkdirSync(folder, { recursive: true })
  const read = (name: string) => readFileSync(join(kubernetesSchemasFolder, name), 'utf8')
  const { $defs } = JSON.parse(read('_definitions.json'))
  for (const name of KINDS.map((kind) => `${kind}.json`)) {
    const { $id: _, ...schema } = JSON.parse(read(name).replaceAll('/api/_definitions.json', ''))
    writeFileSync(join(folder, name), JSON.stringify({ ...schema, $defs }))
  }
  return folder
}

/** Writes schemas of Istio's own kinds for kubeconform, from the CRDs that its installer would apply. */
export function istioSchemas(): string {
  const folder = join(scratch, 'istio-schemas')
  mkdirSync(folder, { recursive: true })
  const { status, stdout, stderr } = spawnSync('istioctl', ['manifest', 'generate'], {
    encoding: 'utf8',
    maxBuffer: 32 * 1024 * 1024,
  })
  if (status !== 0) throw new Error(stderr)
  for (const document of parseAllDocuments(stdout)) {
    const crd = document.toJS() as (Crd & { kind: string }) | null
    if (crd?.kind !== 'CustomResourceDefinition') continue
    const { group, names, versions } = crd.spec
    for (const { name, schema } of versions) {
      const { properties } = schema.openAPIV3Schema
      // A CRD's schema omits these three members; the API server checks them.
      const whole = { ...properties, apiVersion: { type: 'string' }, kind: { type: 'string' } }
      const closed = close({ ...schema.openAPIV3Schema, properties: whole })
      Object.assign(closed.properties ?? {}, { metadata: { type: 'object' } })
      writeFileSync(join(folder, `${names.kind}_${group}_${name}.json`.toLowerCase()), JSON.stringify(closed))
    }
  }
  return folder
}

/** Returns the schema with unknown members forbidden, as with `kubectl --validate=strict`. */
function close(schema: Schema): Schema {
  const { properties, items, additionalProperties: others } = schema
  const closed = { ...schema }
  if (schema['x-kubernetes-int-or-string']) closed.type = ['integer', 'string']
  if (properties) {
    closed.properties = Object.fromEntries(
      Object.entries(properties).map(([name, inner]) => [name, close(inner)]),
    )
    if (others === undefined && !schema['x-kubernetes-preserve-unknown-fields'])
      closed.additionalProperties = false
  }
  if (items) closed.items = close(items)
  if (typeof others === 'object') closed.additionalProperties = close(others)
  return closed
}

/** A program for another process, in the models' folder, because Jest cannot load files from there. */
const CHECK_WITH_MODELS = `
import { readFileSync } from 'node:fs'
const packageOf = (group) =>
  /istio[.]io$/.test(group) ? '@kubernetes-models/istio/' :
  group === 'cert-manager.io' ? '@kubernetes-models/cert-manager/' :
  group === 'gateway.networking.k8s.io' ? '@kubernetes-models/gateway-api/' : 'kubernetes-models/'
const findings = []
let checked = 0
for (const { file, object } of JSON.parse(readFileSync(0, 'utf8'))) {
  const [version, group = ''] = object.apiVersion.split('/').reverse()
  const path = packageOf(group) + (group ? group + '/' : '') + version + '/' + object.kind
  try {
    const model = await import(path)
    new model[object.kind](object).validate()
    checked += 1
  } catch (error) {
    findings.push(file + ': ' + object.kind + ' ' + object.metadata?.name + ': ' + error.message)
  }
}
console.log(JSON.stringify({ checked, findings }))
`

/** Validates every object with the npm packages of @kubernetes-models. */
export function checkWithModels(files: readonly string[]): { checked: number; findings: string[] } {
  const objects = files.flatMap((file) =>
    parseAllDocuments(readFileSync(file, 'utf8'))
      .map((document) => document.toJS())
      // Only Gloo's licensed product knows its kinds.
      .filter((object) => object && !/gloo\.solo\.io/.test(object.apiVersion))
      .map((object) => ({ file: file.replace(`${here}/`, ''), object })),
  )
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', CHECK_WITH_MODELS],
    { cwd: join(peersFolder, 'models'), encoding: 'utf8', input: JSON.stringify(objects) },
  )
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}
