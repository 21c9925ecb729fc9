import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { dirname, resolve } from 'node:path'
import { ConfigError, plainIssuerProblem, plainUrlProblem } from '@hallpass/service-kit'
import { parseDistinguishedName, parsePemCertificates } from '@hallpass/x509'
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

const keySource = {
  /** A JWKS, relative to the trusted-callers file; reloaded when a token has an unknown `kid`. */
  jwksFile: z.string().optional(),
  jwksUrl: z.url({ protocol: /^https?$/ }).optional(),
  /** The CA of `jwksUrl`'s certificate, e.g. the one that Kubernetes mounts. */
  caFile: z.string().optional(),
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

const subjects = z.record(z.string(), z.strictObject(rights))

const entry = z.discriminatedUnion('method', [
  z.strictObject({
    method: z.literal('private_key_jwt'),
    clientId: z.string().min(1),
    ...keySource,
    ...rights,
  }),
  z.strictObject({ method: z.literal('kubernetes'), issuer: z.string().min(1), ...keySource, subjects }),
  z.strictObject({ method: z.literal('spiffe'), trustDomain: z.string().min(1), ...keySource, subjects }),
  z
    .strictObject({
      method: z.literal('tls_client_auth'),
      clientId: z.string().min(1),
      /** The CAs that may certify the client, as PEM. */
      caFile: z.string(),
      ...certificateNames,
      ...rights,
    })
    .refine((names) => NAMES.filter((name) => names[name] !== undefined).length === 1, {
      message: `needs exactly one of ${NAMES.join(', ')}`,
    }),
])

const trustFile = z.strictObject({
  callers: z
    .array(
      entry.refine(
        (caller) =>
          caller.method === 'tls_client_auth' ||
          (caller.jwksFile === undefined) !== (caller.jwksUrl === undefined),
        { message: 'needs exactly one of jwksFile and jwksUrl' },
      ),
    )
    .min(1)
    .refine(
      (callers) => {
        const certified = callers.filter(({ method }) => method === 'tls_client_auth')
        return (
          new Set(certified.map((caller) => 'clientId' in caller && caller.clientId)).size ===
          certified.length
        )
      },
      { message: 'a clientId has more than one tls_client_auth' },
    ),
})

/** A trusted caller, or a trusted issuer of callers' tokens. */
export type TrustEntry = z.infer<typeof entry> & { readonly ca?: string }
/** A client that authenticates with a certificate. */
export type CertificateTrustEntry = Extract<TrustEntry, { method: 'tls_client_auth' }>
export type Rights = Pick<Extract<TrustEntry, { method: 'private_key_jwt' }>, keyof typeof rights>

/**
 * Reads the trusted-callers file, YAML or JSON; file names in it are relative to it.
 * @param requiresTls whether keys may only be fetched over https, or from this machine
 * @throws {ConfigError} naming each invalid member.
 */
export async function readTrustFile(path: string, { requiresTls = false } = {}): Promise<TrustEntry[]> {
  let content: unknown
  try {
    content = parse(await readFile(path, 'utf8'))
  } catch (error) {
    throw new ConfigError([`TRUSTED_CALLERS_FILE ${path}: ${(error as Error).message}`])
  }
  const result = trustFile.safeParse(content)
  if (!result.success)
    throw new ConfigError(
      result.error.issues.map(
        (issue) => `TRUSTED_CALLERS_FILE ${path}: ${issue.path.join('.')} ${issue.message}`,
      ),
    )
  const plain = requiresTls
    ? result.data.callers.flatMap((caller, index) => plainSources(caller, index, path))
    : []
  if (plain.length > 0) throw new ConfigError(plain)
  const from = (file: string) => resolve(dirname(path), file)
  return Promise.all(
    result.data.callers.map(async (caller) => ({
      ...caller,
      ...(!('jwksFile' in caller) || caller.jwksFile === undefined
        ? {}
        : { jwksFile: from(caller.jwksFile) }),
      ...(caller.caFile === undefined
        ? {}
        : { ca: await (caller.method === 'tls_client_auth' ? readCa : readText)(path, from(caller.caFile)) }),
    })),
  )
}

/** Reads a CA whose certificates are parsed now, so that a bad file is found at start. */
async function readCa(trustFilePath: string, file: string): Promise<string> {
  const pem = await readText(trustFilePath, file)
  try {
    if (parsePemCertificates(pem).length === 0) throw new Error('contains no certificate in PEM')
    return pem
  } catch (error) {
    throw new ConfigError([`TRUSTED_CALLERS_FILE ${trustFilePath}: ${file}: ${(error as Error).message}`])
  }
}

/** Returns a problem for each place from which the keys of an entry would come unencrypted. */
function plainSources(caller: z.infer<typeof entry>, index: number, path: string): string[] {
  const problems = {
    jwksUrl:
      'jwksUrl' in caller && caller.jwksUrl !== undefined ? plainUrlProblem(caller.jwksUrl) : undefined,
    issuer: 'issuer' in caller ? plainIssuerProblem(caller.issuer) : undefined,
  }
  return Object.entries(problems).flatMap(([member, problem]) =>
    problem ? [`TRUSTED_CALLERS_FILE ${path}: callers.${index}.${member} ${problem}`] : [],
  )
}

async function readText(trustFilePath: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new ConfigError([`TRUSTED_CALLERS_FILE ${trustFilePath}: ${(error as Error).message}`])
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
