import { X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { isIP } from 'node:net'
import { dirname, resolve } from 'node:path'
import { explainTampering } from '@hallpass/private-files'
import { ConfigError, keySourceProblems } from '@hallpass/service-kit'
import { JwtBundle, TrustDomain } from '@hallpass/spiffe'
import {
  accessTokenUse,
  algorithmsNamed,
  KeySetError,
  parseJwks,
  SIGNATURE_ALGORITHMS,
} from '@hallpass/tokens'
import { readJson } from '@hallpass/untrusted/json'
import { DerError, parseDistinguishedName, parsePemCertificates } from '@hallpass/x509'
import { parse } from 'yaml'
import { z } from 'zod'

const rights = {
  /** The ID of the key that signs the caller's tokens. */
  keyId: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/)
    .optional(),
  /** May create, rotate, list and save keys. */
  admin: z.boolean().default(false),
  /** The audiences that it may request; if omitted, any. */
  audiences: z.array(z.string()).optional(),
  /** The claims that it may set besides `aud` and `scope`. */
  claims: z.array(z.string()).default([]),
  /** The scopes that it may request. */
  scopes: z.array(z.string()).default([]),
}

const fileName = z.string().min(1)

const keySource = {
  /** A JWKS, relative to the trusted-callers file; reloaded when it changes. */
  jwksFile: fileName.optional(),
  jwksUrl: z.url({ protocol: /^https?$/ }).optional(),
  /** The CA of `jwksUrl`'s certificate, or of the issuer's, e.g. the one that Kubernetes mounts; reloaded when it changes. */
  caFile: fileName.optional(),
}

/** The name that a client's certificate must have, and only one: the parameters of RFC 8705 §2.1.2. */
const certificateNames = {
  /** As in RFC 4514, e.g. `CN=servicea,O=Example`. */
  subjectDn: z
    .string()
    .refine(isDistinguishedName, { message: 'is not a distinguished name (RFC 4514) such as CN=a,O=Example' })
    .optional(),
  sanDns: z.string().min(1).optional(),
  sanUri: z.string().min(1).optional(),
  sanIp: z
    .string()
    .refine((address) => isIP(address) !== 0, { message: 'is not an IP address' })
    .optional(),
  sanEmail: z.string().min(1).optional(),
}
const NAMES = Object.keys(certificateNames) as (keyof typeof certificateNames)[]

/** Valid for longer, a token that can be sent again and again is as risky as a password. */
const LONGEST_TOKEN_LIFETIME_SECONDS = 86_400
/**
 * Most providers issue access tokens for 5 to 60 minutes, Microsoft Entra for 60 to 90; for Auth0's default of a day, the
 * operator sets it there or here.
 */
const TOKEN_LIFETIME_SECONDS = 5_400

/** Which tokens of an OpenID provider authenticate a client. */
const tokenRules = {
  /** What the provider writes into `aud` for this service; by default this service's issuer name. */
  audience: z.string().min(1).optional(),
  /** `contains` accepts tokens with other audiences too, each of which can send them here. */
  audienceList: z.enum(['single', 'contains']).default('single'),
  /** The claim with the client ID; by default that of RFC 9068 §2.2. */
  clientIdClaim: z.string().min(1).default('client_id'),
  /** Which tokens are access tokens: another kind, such as an ID token, is not made for this service. */
  tokenUse: z.string().default('scoped').transform(parsedBy(accessTokenUse)),
  algorithms: z
    .array(z.string())
    .default([...SIGNATURE_ALGORITHMS])
    .transform(parsedBy(algorithmsNamed)),
  /** Whether a token that a user got by a listed client has the rights of the client. */
  allowUserTokens: z.boolean().default(false),
  maxLifetimeSeconds: z
    .number()
    .int()
    .min(1)
    .max(LONGEST_TOKEN_LIFETIME_SECONDS)
    .default(TOKEN_LIFETIME_SECONDS),
}

const subjects = z.record(z.string(), z.strictObject(rights))

const trustDomain = z.string().refine(isTrustDomain, 'must be a trust domain such as example.org')

/** Printable ASCII (RFC 6749 appendix A.1). */
const clientId = z.string().regex(/^[\x20-\x7e]+$/, 'must be printable ASCII')

const entry = z
  .discriminatedUnion('method', [
    z.strictObject({
      method: z.literal('private_key_jwt'),
      clientId,
      ...keySource,
      ...rights,
    }),
    z.strictObject({
      method: z.literal('kubernetes'),
      issuer: z.string().min(1),
      ...keySource,
      /** A service account token for the API server, which serves its keys only to authenticated clients by default. */
      tokenFile: fileName.optional(),
      subjects,
    }),
    z.strictObject({ method: z.literal('spiffe'), trustDomain, ...keySource, subjects }),
    z.strictObject({
      method: z.literal('oidc'),
      /** Exactly as in its tokens and its discovery document, with the slash at the end if it has one. */
      issuer: z.string().min(1),
      ...keySource,
      ...tokenRules,
      clients: z
        .record(clientId, z.strictObject({ subject: z.string().min(1).optional(), ...rights }))
        .refine((clients) => Object.keys(clients).length > 0, 'must list at least one client'),
    }),
    z.strictObject({
      method: z.literal('tls_client_auth'),
      clientId,
      /** The CAs that may certify the client, as PEM; reloaded when it changes. */
      caFile: fileName,
      ...certificateNames,
      ...rights,
    }),
  ])
  .superRefine((caller, context) => {
    if (caller.method === 'tls_client_auth') {
      if (NAMES.filter((name) => caller[name] !== undefined).length !== 1)
        context.addIssue({ code: 'custom', message: `needs exactly one of ${NAMES.join(', ')}` })
      return
    }
    const { method, jwksFile, jwksUrl, caFile } = caller
    const fault = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message })
    const sources = [jwksFile, jwksUrl].filter((source) => source !== undefined).length
    // The others are no OpenID issuers, which have a discovery document.
    const isDiscoverable = method === 'kubernetes' || method === 'oidc'
    if (sources > 1 || (sources === 0 && !isDiscoverable))
      context.addIssue({
        code: 'custom',
        message: `needs ${isDiscoverable ? 'at most' : 'exactly'} one of jwksFile and jwksUrl`,
      })
    if (caFile !== undefined && jwksFile !== undefined)
      fault('caFile', 'is for keys from the network, not for jwksFile')
    if (!isDiscoverable) return
    if (caller.method === 'oidc') {
      if (
        caller.allowUserTokens &&
        Object.values(caller.clients).some(({ subject }) => subject !== undefined)
      )
        fault('allowUserTokens', 'accepts any subject; remove it, or the subject of the clients')
      return
    }
    if (caller.tokenFile !== undefined && caFile === undefined)
      fault('tokenFile', 'needs caFile, so that no other server than the cluster’s can receive the token')
  })

const trustFile = z.strictObject({ callers: z.array(entry).min(1) }).superRefine(({ callers }, context) => {
  const firstOf = new Map<string, number>()
  callers.forEach((caller, index) => {
    const [member, name] = nameOf(caller)
    // Client IDs and issuers are both the `iss` of a credential. A client has one method (RFC 7591 §2): with two,
    // its weaker credential would have the rights of either.
    const key = caller.method === 'spiffe' ? `trust domain ${name}` : `iss ${name}`
    const first = firstOf.get(key)
    if (first === undefined) firstOf.set(key, index)
    else
      context.addIssue({
        code: 'custom',
        path: ['callers', index, member],
        message: `${name} is already the name of callers.${first}; ${
          callers[first]?.method === caller.method
            ? 'merge the two or remove one'
            : 'a client or an issuer has one method, so remove one'
        }`,
      })
  })
})

/** A trusted caller, or a trusted issuer of callers' tokens; file names are absolute. */
export type TrustEntry = z.infer<typeof entry> & { readonly ca?: string }
/** A client that authenticates with a certificate. */
export type CertificateTrustEntry = Extract<TrustEntry, { method: 'tls_client_auth' }>
export type Rights = Pick<Extract<TrustEntry, { method: 'private_key_jwt' }>, keyof typeof rights>

/** Returns the member by which an entry's credentials are recognized, and its value. */
export function nameOf(caller: TrustEntry): readonly [member: string, name: string] {
  switch (caller.method) {
    case 'private_key_jwt':
    case 'tls_client_auth':
      return ['clientId', caller.clientId]
    case 'kubernetes':
    case 'oidc':
      return ['issuer', caller.issuer]
    case 'spiffe':
      return ['trustDomain', caller.trustDomain]
  }
}

export interface ReadOptions {
  /** Whether a mesh encrypts all connections, so that keys may be fetched over http from other machines. */
  readonly inMesh?: boolean | undefined
  /**
   * The key files in use. If one of them has become unusable, its caller can no longer authenticate, but the file is valid:
   * otherwise one caller's lost keys would prevent the removal of another caller.
   */
  readonly keyFilesInUse?: ReadonlySet<string>
  /** Called with the problem of each such file. */
  readonly onLostKeys?: ((problem: string) => void) | undefined
}

/**
 * Reads the trusted-callers file, YAML or JSON, and checks the files that it names; their names are relative to it.
 * @throws {ConfigError} naming every invalid member and every file that cannot be used, with the fix.
 */
export async function readTrustFile(
  path: string,
  { inMesh = false, keyFilesInUse, onLostKeys }: ReadOptions = {},
): Promise<TrustEntry[]> {
  const text = await readText(path)
  if (typeof text !== 'string') throw new ConfigError([`TRUSTED_CALLERS_FILE ${path}: ${text.problem}`])
  let content: unknown
  try {
    content = parse(text)
  } catch (error) {
    // Only the first line: the parser quotes the file in those that follow.
    const [reason] = (error as Error).message.split('\n', 1)
    throw new ConfigError([`TRUSTED_CALLERS_FILE ${path}: ${reason}`])
  }
  const result = trustFile.safeParse(content)
  if (!result.success)
    throw new ConfigError(
      result.error.issues.map(
        (issue) => `TRUSTED_CALLERS_FILE ${path}: ${issue.path.join('.')} ${issue.message}`,
      ),
    )
  const problems = result.data.callers.flatMap((caller, index) => {
    const member = (name: string) => `TRUSTED_CALLERS_FILE ${path}: callers.${index}.${name}`
    if (caller.method === 'tls_client_auth') return []
    return keySourceProblems(
      { issuer: member('issuer'), jwksUrl: member('jwksUrl'), jwksFile: member('jwksFile') },
      caller,
      inMesh,
    )
  })
  const entries = await Promise.all(
    result.data.callers.map((caller, index) =>
      withFiles(caller, dirname(path), (member, file, problem) => {
        const text = `TRUSTED_CALLERS_FILE ${path}: callers.${index}.${member} ${file} ${problem}`
        if (onLostKeys && member === 'jwksFile' && keyFilesInUse?.has(file)) onLostKeys(text)
        else problems.push(text)
      }),
    ),
  )
  if (problems.length > 0) throw new ConfigError(problems.sort())
  return entries
}

/** Resolves the file names of an entry and checks the files; the CA is read. */
async function withFiles(
  caller: TrustEntry,
  folder: string,
  report: (member: string, file: string, problem: string) => void,
): Promise<TrustEntry> {
  const from = (file: string) => resolve(folder, file)
  const check = async (member: string, file: string, use: (text: string) => string | undefined) => {
    const text = await readText(file)
    const problem = typeof text === 'string' ? use(text) : text.problem
    if (problem !== undefined) report(member, file, problem)
    return typeof text === 'string' ? text : ''
  }
  let resolved: TrustEntry = caller
  if ('jwksFile' in caller && caller.jwksFile !== undefined) {
    const jwksFile = from(caller.jwksFile)
    await check('jwksFile', jwksFile, (text) => explainKeys(text, caller))
    resolved = { ...caller, jwksFile }
  }
  if (caller.caFile !== undefined) {
    const caFile = from(caller.caFile)
    resolved = {
      ...resolved,
      caFile,
      ca: await check('caFile', caFile, (text) => explainCertificates(text, caller)),
    }
  }
  if (resolved.method === 'kubernetes' && resolved.tokenFile !== undefined) {
    const tokenFile = from(resolved.tokenFile)
    await check('tokenFile', tokenFile, () => undefined)
    resolved = { ...resolved, tokenFile }
  }
  return resolved
}

const UNREADABLE: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist; create it or correct the name',
  EACCES: 'cannot be read by this user; give it access (chown, chmod)',
  EISDIR: 'is a folder, not a file',
}

async function readText(file: string): Promise<string | { readonly problem: string }> {
  try {
    const text = await readFile(file, 'utf8')
    if (text.trim() === '') return { problem: 'is empty' }
    const tampering = explainTampering(file, await stat(file))
    return tampering ? { problem: `must not be used: ${tampering.reason}. ${tampering.remedy}` } : text
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException
    return { problem: UNREADABLE[code] ?? `cannot be read (${code || message})` }
  }
}

const PRIVATE = 'contains a private key; publish only its public half here, and replace the key'

/** Explains why a file's content is not the JWKS of an entry. Never quotes it. */
function explainKeys(text: string, caller: TrustEntry): string | undefined {
  if (text.includes('PRIVATE KEY')) return PRIVATE
  let json: unknown
  try {
    json = readJson(text)
  } catch {
    return 'is not valid JSON; it must be a JWKS (RFC 7517 §5)'
  }
  try {
    if ((json as { d?: unknown } | null)?.d !== undefined) return PRIVATE
    parseJwks(json, caller.method === 'oidc' ? { algorithms: caller.algorithms } : {})
  } catch (error) {
    if (!(error instanceof KeySetError)) throw error
    if (error.reason === 'private_key') return PRIVATE
    // A bundle can contain keys for other purposes, which need not be fit for tokens.
    if (caller.method !== 'spiffe' || error.reason === 'symmetric_key')
      return `is not a usable JWKS: ${error.message}`
  }
  if (caller.method !== 'spiffe') return undefined
  try {
    JwtBundle.ofJwks(caller.trustDomain, json)
    return undefined
  } catch (error) {
    return `is not a SPIFFE bundle: ${(error as Error).message}`
  }
}

function explainCertificates(text: string, { method }: TrustEntry): string | undefined {
  if (text.includes('PRIVATE KEY')) return PRIVATE
  try {
    new X509Certificate(text)
    // Those of clients are verified here, the others by TLS.
    if (method === 'tls_client_auth') parsePemCertificates(text)
    return undefined
  } catch (error) {
    return error instanceof DerError
      ? `contains a certificate that is not supported: ${error.message}`
      : 'contains no certificate (PEM)'
  }
}

/** Makes a transformation of `parse`; an error that it throws becomes a problem of the member. */
function parsedBy<I, O>(parse: (value: I) => O) {
  return (value: I, context: z.RefinementCtx): O => {
    try {
      return parse(value)
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message })
      return z.NEVER
    }
  }
}

function isTrustDomain(name: string): boolean {
  try {
    return TrustDomain.ofName(name).name === name
  } catch {
    return false
  }
}

function isDistinguishedName(text: string): boolean {
  try {
    parseDistinguishedName(text)
    return true
  } catch {
    return false
  }
}
