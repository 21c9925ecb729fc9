import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { ConfigError, plainUrlProblem } from '@hallpass/service-kit'
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
])

const trustFile = z.strictObject({
  callers: z
    .array(
      entry.refine(({ jwksFile, jwksUrl }) => (jwksFile === undefined) !== (jwksUrl === undefined), {
        message: 'needs exactly one of jwksFile and jwksUrl',
      }),
    )
    .min(1),
})

/** A trusted caller, or a trusted issuer of callers' tokens. */
export type TrustEntry = z.infer<typeof entry> & { readonly ca?: string }
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
    ? result.data.callers.flatMap(({ jwksUrl }, index) => {
        const problem = jwksUrl === undefined ? undefined : plainUrlProblem(jwksUrl)
        return problem ? [`TRUSTED_CALLERS_FILE ${path}: callers.${index}.jwksUrl ${problem}`] : []
      })
    : []
  if (plain.length > 0) throw new ConfigError(plain)
  const from = (file: string) => resolve(dirname(path), file)
  return Promise.all(
    result.data.callers.map(async (caller) => ({
      ...caller,
      ...(caller.jwksFile === undefined ? {} : { jwksFile: from(caller.jwksFile) }),
      ...(caller.caFile === undefined ? {} : { ca: await readText(path, from(caller.caFile)) }),
    })),
  )
}

async function readText(trustFilePath: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new ConfigError([`TRUSTED_CALLERS_FILE ${trustFilePath}: ${(error as Error).message}`])
  }
}
