import { relative } from 'node:path'
import type { Fault } from './run.ts'

export interface StreamCurlOptions {
  /** The origin of the gateway. */
  readonly origin: string
  readonly path: string
  readonly caFile: string
  /** The request for the development token. */
  readonly request: Readonly<Record<string, unknown>>
  /** Claims of a forged token with the gateway's issuer. */
  readonly forged: Readonly<Record<string, unknown>>
  /** How long to wait until a token has expired. */
  readonly waitSeconds: number
}

/** Adds a claim under the same signature. */
const TAMPER =
  'const [h, c, s] = process.argv[1].split("."); const claims = JSON.parse(Buffer.from(c, "base64url")); ' +
  '[h, Buffer.from(JSON.stringify({ ...claims, admin: true })).toString("base64url"), s].join(".")'

/** Signs with a key unknown to the gateway. */
const forge = (claims: unknown) =>
  'const { generateKeyPairSync, sign } = require("crypto"); ' +
  'const { privateKey: key } = generateKeyPairSync("ec", { namedCurve: "P-256" }); ' +
  'const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url"); const iat = Math.floor(Date.now() / 1000); ' +
  `const text = part({ alg: "ES256", typ: "JWT", kid: "forged" }) + "." + part({ ...${JSON.stringify(claims)}, iat, exp: iat + 60 }); ` +
  'text + "." + sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")'

/** Returns the commands that open a stream as scenario 7 does, with the same fault. */
export function streamCurl(
  fault: Fault | undefined,
  { origin, path, caFile, request, forged, waitSeconds }: StreamCurlOptions,
): string {
  const fromHere = relative(process.cwd(), caFile)
  const curl = `curl -s --cacert ${quoted(fromHere.startsWith('..') ? caFile : fromHere)}`
  const open = (header: string) => `${curl} -N${header} ${origin}${path}`
  if (fault === 'no-token') return open('')
  const get = `TOKEN=$(${curl} -H 'content-type: application/json' -d '${JSON.stringify(request)}' ${origin}/token | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')`
  const withToken = open(' -H "authorization: Bearer $TOKEN"')
  if (fault === 'wrong-key') return [`TOKEN=$(node -p '${forge(forged)}')`, withToken].join('\n')
  if (fault === 'tampered') return [get, `TOKEN=$(node -p '${TAMPER}' "$TOKEN")`, withToken].join('\n')
  if (fault === 'expired') return [get, `sleep ${waitSeconds}`, withToken].join('\n')
  return [get, withToken].join('\n')
}

const quoted = (text: string) => (/^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`)
