import * as z from 'zod'
import type { Manifest } from './manifest.ts'

const texts = z.array(z.string()).default([])
const selector = z.looseObject({ matchLabels: z.record(z.string(), z.string()).default({}) }).optional()
const targetRefs = z
  .array(z.looseObject({ kind: z.string(), name: z.string(), group: z.string().default('') }))
  .default([])

const source = z.looseObject({
  principals: texts,
  notPrincipals: texts,
  requestPrincipals: texts,
  notRequestPrincipals: texts,
  namespaces: texts,
  serviceAccounts: texts,
})
const operation = z.looseObject({
  hosts: texts,
  notHosts: texts,
  methods: texts,
  notMethods: texts,
  paths: texts,
  notPaths: texts,
  ports: texts,
})
const rule = z.looseObject({
  from: z.array(z.looseObject({ source })).default([]),
  to: z.array(z.looseObject({ operation })).default([]),
  when: z.array(z.looseObject({ key: z.string(), values: texts, notValues: texts })).default([]),
})

const authorizationPolicy = z
  .looseObject({
    selector,
    targetRefs,
    action: z.enum(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM']).default('ALLOW'),
    rules: z.array(rule).default([]),
  })
  .prefault({})

const requestAuthentication = z
  .looseObject({
    selector,
    targetRefs,
    jwtRules: z
      .array(
        z.looseObject({
          issuer: z.string(),
          audiences: texts,
          jwksUri: z.string().optional(),
          jwks: z.string().optional(),
        }),
      )
      .default([]),
  })
  .prefault({})

const service = z.looseObject({
  selector: z.record(z.string(), z.string()).default({}),
  ports: z
    .array(
      z.looseObject({
        name: z.string().optional(),
        appProtocol: z.string().optional(),
        port: z.number().optional(),
      }),
    )
    .default([]),
})

export type PolicySource = z.infer<typeof source>
export type PolicyRule = z.infer<typeof rule>
export type AuthorizationPolicySpec = z.infer<typeof authorizationPolicy>
export type RequestAuthenticationSpec = z.infer<typeof requestAuthentication>

/** An object whose `spec` has been validated against the schema of its kind. */
export type Typed<Spec> = Omit<Manifest, 'spec'> & { readonly spec: Spec }

const SCHEMAS = {
  AuthorizationPolicy: authorizationPolicy,
  RequestAuthentication: requestAuthentication,
  Service: service,
} as const

type Kind = keyof typeof SCHEMAS

const isOfKind = ({ apiVersion, kind }: Manifest, wanted: Kind): boolean =>
  kind === wanted &&
  (wanted === 'Service' ? apiVersion === 'v1' : apiVersion.startsWith('security.istio.io/'))

/** Returns the schema errors of an object, if its kind is one of those read here. */
export function shapeError(manifest: Manifest): z.ZodError | undefined {
  for (const kind of Object.keys(SCHEMAS) as Kind[])
    if (isOfKind(manifest, kind)) return SCHEMAS[kind].safeParse(manifest.spec).error
  return undefined
}

/** Returns the valid objects of one kind. Invalid ones are reported as findings elsewhere. */
export function ofKind<K extends Kind>(
  manifests: readonly Manifest[],
  kind: K,
): Typed<z.infer<(typeof SCHEMAS)[K]>>[] {
  return manifests
    .filter((manifest) => isOfKind(manifest, kind))
    .flatMap((manifest) => {
      const { success, data } = SCHEMAS[kind].safeParse(manifest.spec)
      return success ? [{ ...manifest, spec: data as z.infer<(typeof SCHEMAS)[K]> }] : []
    })
}

/** Whether a source names workloads, users, both or neither. */
export const namesWorkload = ({ principals, serviceAccounts, namespaces }: PolicySource): boolean =>
  principals.length + serviceAccounts.length + namespaces.length > 0
export const namesUser = ({ requestPrincipals }: PolicySource): boolean => requestPrincipals.length > 0

/** Returns true if no request without a verified token satisfies the rule. */
export function demandsToken({ from, when }: PolicyRule): boolean {
  const bySource = from.length > 0 && from.every(({ source: item }) => namesUser(item))
  return bySource || when.some(({ key, values }) => key.startsWith('request.auth.') && values.length > 0)
}

/** Returns true unless the rule names ports and this is none of them. */
export const isAboutPort = ({ to }: PolicyRule, port: number | undefined): boolean =>
  to.length === 0 || to.some(({ operation: { ports } }) => ports.length === 0 || ports.includes(String(port)))

/** Returns true if the rule can be evaluated only by reading HTTP. */
export function readsHttp({ from, to, when }: PolicyRule): boolean {
  return (
    from.some(({ source: item }) => item.requestPrincipals.length + item.notRequestPrincipals.length > 0) ||
    to.some(({ operation: item }) =>
      [item.hosts, item.notHosts, item.methods, item.notMethods, item.paths, item.notPaths].some(
        ({ length }) => length > 0,
      ),
    ) ||
    when.some(({ key }) => key.startsWith('request.'))
  )
}
