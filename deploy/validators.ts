import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe } from '@jest/globals'
import { parseAllDocuments } from 'yaml'

const here = import.meta.dirname
/** Where `.ci/install-peers` puts what comes from elsewhere. */
export const peersFolder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'hallpass/peers')

export const kubernetesSchemasFolder = join(peersFolder, 'kubernetes-schemas')
/** The kinds of Kubernetes that our files have. */
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

/** For what the validators read; gone after the tests. */
export const scratch = mkdtempSync(join(tmpdir(), 'hallpass-validators-'))
afterAll(() => rmSync(scratch, { recursive: true }))

/** What stands between a reader and a validator must be as cheap as `npm test`; who has them gets more. */
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

/** Every file of a folder that `kubectl apply -f` is documented for, or that a kustomization takes whole. */
export const yamlIn = (path: string) =>
  readdirSync(join(here, path), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.yaml') && !name.includes('kustomization') && !name.includes('overlays'))
    .map((name) => join(here, path, name))

export const sets = ['base', 'overlays/istio', 'overlays/ambient'] as const

/** What `kubectl apply -k` would send. */
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

/** Writes the schemas of Kubernetes, each whole in one file, as kubeconform wants them. */
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

/** Writes the schemas of Istio's own kinds, as the installer would bring them into a cluster, for kubeconform. */
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
      // The schema of a CRD leaves these three to the API server.
      const whole = { ...properties, apiVersion: { type: 'string' }, kind: { type: 'string' } }
      const closed = close({ ...schema.openAPIV3Schema, properties: whole })
      Object.assign(closed.properties ?? {}, { metadata: { type: 'object' } })
      writeFileSync(join(folder, `${names.kind}_${group}_${name}.json`.toLowerCase()), JSON.stringify(closed))
    }
  }
  return folder
}

/** Unknown members are an error, as with `kubectl --validate=strict`. */
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

/** Runs in a process of its own, in the folder of the models, which is far outside of what the tests transform. */
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

/** Has the npm packages of the models look at every object. */
export function checkWithModels(files: readonly string[]): { checked: number; findings: string[] } {
  const objects = files.flatMap((file) =>
    parseAllDocuments(readFileSync(file, 'utf8'))
      .map((document) => document.toJS())
      // Gloo's kinds are known to its licensed product alone.
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
