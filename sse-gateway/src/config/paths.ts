import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { VariableReader } from '@hallpass/service-kit'
import { accessTokenUse } from '@hallpass/tokens'
import { parse } from 'yaml'
import * as z from 'zod'
import {
  type IntrospectionRule,
  introspectionFile,
  introspectionOf,
  requireOneIntrospectedIssuer,
  withCredential,
} from './introspection.ts'
import {
  checkOwnTopic,
  checkPublishing,
  isPath,
  publishingOf,
  publishRule,
  topicsOf,
  topicsRule,
} from './topics.ts'
import { checkUpstream, checkUpstreamUrl, httpUrl, resolveUpstream, upstreamRule } from './upstreams.ts'

/** By default an access token must tell that it is one: ID tokens of some issuers have the roles, too. */
const TOKEN_USE = 'scoped'

const tokenUse = z.string().transform((text, context) => {
  try {
    return accessTokenUse(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message })
    return z.NEVER
  }
})

const issuerFile = z
  .strictObject({
    issuer: z.string().min(1),
    audience: z.string().min(1),
    /** A JWKS file, relative to this configuration file; reloaded when it changes. */
    jwksFile: z.string().min(1).optional(),
    jwksUrl: httpUrl.optional(),
    /** Instead of keys: this issuer is asked about each token (RFC 7662). */
    introspection: introspectionFile.optional(),
    /** What tells an access token from an ID token of this issuer. */
    tokenUse: tokenUse.default(TOKEN_USE),
    /** Whose tokens and streams the administrators of this issuer revoke and list. */
    administers: z.enum(['own', 'all']).default('own'),
  })
  .refine(
    ({ jwksFile, jwksUrl, introspection }) =>
      [jwksFile, jwksUrl, introspection].filter((source) => source !== undefined).length === 1,
    { error: 'needs exactly one of jwksFile, jwksUrl and introspection' },
  )

const pathFile = z.strictObject({
  upstream: upstreamRule,
  issuers: z.array(issuerFile).min(1),
  scopes: z.array(z.string().min(1)).min(1),
  rolesClaim: z.string().min(1).default('scope'),
  expiry: z.enum(['required', 'optional']).default('required'),
  issuedAt: z.enum(['required', 'optional']).default('optional'),
  subject: z.enum(['required', 'optional']).default('optional'),
  topics: topicsRule.optional(),
  publish: publishRule.optional(),
})

const configFile = z.strictObject({
  paths: z.record(z.string(), pathFile).check(({ value, issues }) => {
    for (const path of Object.keys(value))
      if (!isPath(path))
        issues.push({ code: 'custom', input: value, path: [path], message: 'must be a path such as /events' })
  }),
})

type IssuerRule = Omit<z.infer<typeof issuerFile>, 'introspection'> & {
  readonly introspection?: IntrospectionRule | undefined
}

export type PathRule = Omit<z.infer<typeof pathFile>, 'issuers'> & { readonly issuers: readonly IssuerRule[] }

/** Returns the rules of all paths: those of the file that `GATEWAY_CONFIG` names, or the documented path and that of the hops. */
export function readPaths(
  variables: VariableReader,
  stateFolder: string,
  production: boolean,
): Record<string, PathRule> {
  const file = variables.optionalText('GATEWAY_CONFIG')
  const paths: Record<string, PathRule> =
    file === undefined
      ? { ...onePath(variables, stateFolder, production), ...hopsPath(variables) }
      : pathsOf(variables, file)
  checkPublishing(variables, paths)
  return paths
}

/** Returns the documented path, configured by environment variables. */
function onePath(
  variables: VariableReader,
  stateFolder: string,
  production: boolean,
): Record<string, PathRule> {
  const path = variables.text('EVENTS_PATH', '/events')
  variables.require(isPath(path), 'EVENTS_PATH must be a path such as /events')
  const jwksUrl = variables.optionalUrl('JWKS_URL')
  const jwksFile = variables.optionalText('JWKS_FILE')
  variables.require(
    jwksUrl === undefined || jwksFile === undefined,
    'JWKS_URL and JWKS_FILE must not both be set',
  )
  const introspection = introspectionOf(variables)
  variables.require(
    introspection === undefined || (jwksUrl === undefined && jwksFile === undefined),
    'INTROSPECTION_URL replaces JWKS_URL and JWKS_FILE: set one of them',
  )
  variables.require(
    !production || jwksUrl !== undefined || jwksFile !== undefined || introspection !== undefined,
    'JWKS_URL, JWKS_FILE or INTROSPECTION_URL is required in production: the example keys are only for development',
  )
  const issuer = variables.text('ISSUER', 'https://auth.example.com')
  const ownKeys = jwksFile ?? join(stateFolder, 'sse/jwks.json')
  const source = introspection
    ? { introspection }
    : jwksUrl === undefined
      ? { jwksFile: ownKeys }
      : { jwksUrl }
  if (!introspection)
    variables.requireKeySource({ issuer: 'ISSUER', jwksUrl: 'JWKS_URL' }, { issuer, ...source })
  const rolesClaim = variables.text('ROLES_CLAIM', 'scope')
  // Roles in another claim may have spaces.
  const scopes = variables[rolesClaim === 'scope' ? 'scopes' : 'list']('SCOPES', ['proxy:stream'])
  variables.require(scopes.length > 0, 'SCOPES must name at least one scope')
  return {
    [path]: {
      upstream: { url: variables.trustedUrl('UPSTREAM_URL', `http://localhost:8001${path}`) },
      issuers: [
        {
          issuer,
          audience: variables.text('AUDIENCE', 'https://api.example.com'),
          tokenUse: variables.parsed('TOKEN_USE', TOKEN_USE, accessTokenUse),
          administers: 'own',
          ...source,
        },
      ],
      scopes,
      rolesClaim,
      expiry: variables.oneOf('EXPIRY', ['required', 'optional'], 'required'),
      issuedAt: variables.oneOf('ISSUED_AT', ['required', 'optional'], 'optional'),
      subject: variables.oneOf('SUBJECT', ['required', 'optional'], 'optional'),
      topics: topicsOf(variables),
      publish: publishingOf(variables),
    },
  }
}

/** Returns the path of the suite's hops, for the explorer; the web UI signs the tokens of its viewers. */
function hopsPath(variables: VariableReader): Record<string, PathRule> {
  const upstream = variables.optionalTrustedUrl('HOPS_UPSTREAM_URL')
  const issuer = variables.optionalUrl('HOPS_ISSUER')
  variables.require(
    (upstream === undefined) === (issuer === undefined),
    'HOPS_UPSTREAM_URL and HOPS_ISSUER must be set together',
  )
  if (upstream === undefined || issuer === undefined) return {}
  variables.requireKeySource({ issuer: 'HOPS_ISSUER' }, { issuer })
  return {
    '/hops': {
      upstream: { url: upstream },
      issuers: [
        {
          issuer,
          audience: 'https://api.example.com',
          tokenUse: TOKEN_USE,
          // The page of the web UI shows the streams of all paths to its administrators, and closes them.
          administers: 'all',
          jwksUrl: `${issuer}/.well-known/jwks.json`,
        },
      ],
      scopes: ['hops:read'],
      rolesClaim: 'scope',
      expiry: 'required',
      issuedAt: 'required',
      subject: 'required',
    },
  }
}

/** Returns the paths of a file. Its problems are reported together with those of the environment. */
function pathsOf(variables: VariableReader, file: string): Record<string, PathRule> {
  let content: unknown
  try {
    content = parse(readFileSync(file, 'utf8'))
  } catch (error) {
    variables.problems.push(`GATEWAY_CONFIG ${file}: ${(error as Error).message}`)
    return {}
  }
  const result = configFile.safeParse(content)
  if (!result.success) {
    for (const { path, message } of result.error.issues)
      variables.problems.push(`GATEWAY_CONFIG ${path.join('.') || file}: ${message}`)
    return {}
  }
  const atFile = (name: string) => resolve(dirname(file), name)
  const { paths } = result.data
  variables.require(Object.keys(paths).length > 0, 'GATEWAY_CONFIG must contain at least one path')
  const rules = Object.entries(paths).map(([path, { issuers, ...rule }]) => {
    const where = `GATEWAY_CONFIG paths.${path}`
    const upstream = resolveUpstream(rule.upstream, atFile)
    checkUpstream(variables, `${where}.upstream`, upstream)
    if (rule.publish) checkUpstreamUrl(variables, `${where}.publish.url`, rule.publish.url, upstream)
    checkOwnTopic(variables, `${where}.topics.own`, { ...rule, issuers })
    const own = issuers.map((issuer, index) => {
      const placed = { ...issuer, ...(issuer.jwksFile && { jwksFile: atFile(issuer.jwksFile) }) }
      return withSource(variables, `${where}.issuers.${index}`, placed, atFile)
    })
    return [path, { ...rule, upstream, issuers: own }] as const
  })
  requireOneIntrospectedIssuer(
    variables,
    rules.flatMap(([, { issuers }]) => issuers),
  )
  return Object.fromEntries(rules)
}

/** Checks where the keys of an issuer come from, or how it is asked. */
function withSource(
  variables: VariableReader,
  where: string,
  { introspection, ...issuer }: z.infer<typeof issuerFile>,
  atFile: (name: string) => string,
): IssuerRule {
  if (!introspection) {
    variables.requireKeySource({ issuer: `${where}.issuer`, jwksUrl: `${where}.jwksUrl` }, issuer)
    return issuer
  }
  const { clientSecretFile: name } = introspection
  const rule = { ...introspection, ...(name && { clientSecretFile: atFile(name) }) }
  return { ...issuer, introspection: withCredential(variables, `${where}.introspection`, rule) }
}
