import { introspectionCredential } from '@hallpass/callers/introspection'
import type { VariableReader } from '@hallpass/service-kit'
import * as z from 'zod'

/** How an issuer is asked about its tokens; relative file names are relative to the configuration file. */
export const introspectionFile = z.strictObject({
  url: z.url({ protocol: /^https?$/ }),
  clientId: z.string().min(1),
  /** Absent: `CALLER_KEY_FILE` or `CALLER_TOKEN_FILE`. */
  clientSecretFile: z.string().min(1).optional(),
})

/** See {@link introspectionFile}; with the credential that replaces a client secret. */
export interface IntrospectionRule {
  readonly url: string
  readonly clientId: string
  readonly clientSecretFile?: string | undefined
  readonly credential: ReturnType<typeof introspectionCredential>
}

/** Reads how the issuer of the one path is asked; undefined if it is not. */
export function introspectionOf(variables: VariableReader): IntrospectionRule | undefined {
  const names = { url: 'INTROSPECTION_URL', clientSecretFile: 'INTROSPECTION_CLIENT_SECRET_FILE' }
  const url = variables.optionalUrl('INTROSPECTION_URL')
  const clientSecretFile = variables.optionalText(names.clientSecretFile)
  if (url === undefined) {
    for (const name of ['INTROSPECTION_CLIENT_ID', names.clientSecretFile])
      variables.require(variables.optionalText(name) === undefined, `${name} needs INTROSPECTION_URL`)
    return undefined
  }
  const credential = introspectionCredential(variables, names, { url, clientSecretFile })
  return { url, clientId: variables.text('INTROSPECTION_CLIENT_ID'), clientSecretFile, credential }
}

/** Checks the rule of an issuer in a file, whose `where` names its place, and adds the credential. */
export const withCredential = (
  variables: VariableReader,
  where: string,
  rule: z.infer<typeof introspectionFile>,
): IntrospectionRule => ({
  ...rule,
  credential: introspectionCredential(
    variables,
    { url: `${where}.url`, clientSecretFile: `${where}.clientSecretFile` },
    rule,
  ),
})

/** An opaque token does not name its issuer, so it would be sent to every issuer that is asked, also to those that did not issue it. */
export function requireOneIntrospectedIssuer(
  variables: VariableReader,
  issuers: readonly { readonly issuer: string; readonly introspection?: IntrospectionRule | undefined }[],
): void {
  const sources = issuers.flatMap(({ issuer, introspection: rule }) =>
    rule ? [JSON.stringify([issuer, rule.url, rule.clientId, rule.clientSecretFile])] : [],
  )
  variables.require(
    new Set(sources).size <= 1,
    'GATEWAY_CONFIG can have introspection for only one issuer, with the same settings at each path: an opaque token does not name its issuer, and would be sent to others, too',
  )
}
