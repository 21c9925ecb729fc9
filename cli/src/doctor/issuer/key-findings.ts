import type { KeyObject } from 'node:crypto'
import {
  fits,
  KeySetError,
  readKeySet,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
  type UnusableKey,
  type VerificationKey,
} from '@hallpass/tokens'
import type { Finding } from '../finding.ts'
import { accepting } from './excluded-algorithms.ts'
import type { JsonObject, Read } from './read-json.ts'

/** How long verifiers use a key set; they ignore the times of caches. */
const USED_FOR_S = 300
const DAY_S = 86_400
/** Shown of a kid; the longest usable one has 256 characters. */
const SHOWN_KID = 64

/** A usable key, as shown. */
export interface ShownKey {
  readonly kid: string
  readonly alg: string
  /** E.g. `RSA 2048` or `P-256`. */
  readonly size: string
}

export interface ExaminedKeys {
  readonly findings: readonly Finding[]
  readonly keys: readonly ShownKey[]
}

const PROVIDER_MUST: Readonly<Record<KeySetError['reason'], string>> = {
  not_a_key_set: 'Check jwks_uri, or set JWKS_URL for every service.',
  too_many_keys: 'At the provider: remove old keys.',
  symmetric_key: 'At the provider: replace this secret at once; everyone can read it.',
  private_key: 'At the provider: replace this key at once; everyone can sign with it.',
  no_usable_key: 'At the provider: a signing key for RS256 (2048 bits or more), ES256 or EdDSA (Ed25519).',
}

/**
 * Judges a key set as the verifiers of the suite do.
 * @param signing the algorithms of ID tokens that both sides know, if the issuer lists them
 */
export function examineKeys(
  { url, json, headers }: Read,
  signing: readonly SignatureAlgorithm[] | undefined,
  algorithms: readonly SignatureAlgorithm[],
): ExaminedKeys {
  let set: ReturnType<typeof readKeySet>
  /** Those that the service could use with the default of TOKEN_ALGORITHMS. */
  const all = algorithmsIn(json)
  try {
    set = readKeySet(json, { algorithms })
  } catch (error) {
    if (!(error instanceof KeySetError)) throw error
    const excluded = SIGNATURE_ALGORITHMS.filter((name) => [...all.values()].includes(name))
    const isExcluded = error.reason === 'no_usable_key' && excluded.length > 0
    return {
      keys: [],
      findings: [
        isExcluded
          ? {
              state: 'bad',
              what: `TOKEN_ALGORITHMS excludes the algorithms of all keys at ${url}: every token is rejected`,
              remedy: `For every service: ${accepting(excluded)}`,
            }
          : {
              state: 'bad',
              what: `Every verifier rejects the key set ${url}: ${error.message}`,
              remedy: PROVIDER_MUST[error.reason],
            },
      ],
    }
  }
  const { keys, unusable } = set
  const published = (json?.keys ?? []) as readonly JsonObject[]
  const left = new Set(unusable.map(({ index }) => index))
  const usable = published.filter((_jwk, index) => !left.has(index))
  if (published.length === 0)
    return {
      keys: [],
      findings: [
        {
          state: 'bad',
          what: `The key set ${url} is empty: no token can be verified`,
          remedy:
            'At the provider: create a signing key. Some make it when the first token is issued; then try again.',
        },
      ],
    }
  return {
    keys: keys.map(shown),
    findings: [
      {
        state: 'good',
        what: `${keys.length} usable ${keys.length === 1 ? 'key' : 'keys'} at ${url}`,
      },
      ...unusable.flatMap((key) => unusableFinding(key, published[key.index], all.get(key.index))),
      ...withoutAlg(usable, keys, signing, algorithms),
      ...withoutKid(usable),
      ...mismatch(keys, usable, signing),
      ...cacheFindings(headers),
    ],
  }
}

/** Returns the algorithms of the keys that are usable if all algorithms are accepted, by position in the set. */
function algorithmsIn(json: Read['json']): ReadonlyMap<number, SignatureAlgorithm> {
  try {
    const { keys, unusable } = readKeySet(json, { algorithms: SIGNATURE_ALGORITHMS })
    const left = new Set(unusable.map(({ index }) => index))
    const usable = Array.from({ length: keys.length + left.size }, (_, index) => index).filter(
      (index) => !left.has(index),
    )
    return new Map(keys.flatMap(({ alg }, position) => [[usable[position] as number, alg]]))
  } catch {
    return new Map()
  }
}

const shown = ({ kid, alg, publicKey }: VerificationKey): ShownKey => ({
  kid: kid.slice(0, SHOWN_KID),
  alg,
  size: sizeOf(publicKey),
})

function sizeOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string {
  if (asymmetricKeyType === 'rsa') return `RSA ${asymmetricKeyDetails?.modulusLength}`
  const curves: Readonly<Record<string, string>> = {
    prime256v1: 'P-256',
    secp384r1: 'P-384',
    secp521r1: 'P-521',
  }
  return curves[asymmetricKeyDetails?.namedCurve ?? ''] ?? 'Ed25519'
}

/** @param excluded its algorithm, if only TOKEN_ALGORITHMS prevents that it is used */
function unusableFinding(
  { index, reason, message }: UnusableKey,
  jwk: unknown,
  excluded: SignatureAlgorithm | undefined,
): Finding[] {
  // Usual: providers publish keys for encryption beside those for signatures.
  if (reason === 'other_purpose') return []
  const { kid, crv } = (jwk ?? {}) as JsonObject
  const name = typeof kid === 'string' ? `Key ${kid.slice(0, SHOWN_KID)}` : `Key number ${index + 1}`
  if (excluded !== undefined)
    return [
      {
        state: 'note',
        what: `${name} is not used, because TOKEN_ALGORITHMS excludes ${excluded}. Tokens signed with it are rejected.`,
        remedy: `If it signs tokens, for every service: ${accepting([excluded])}`,
      },
    ]
  return [
    {
      // EdDSA also names Ed448 (RFC 8037 §3.1), which is no fault of the key.
      state: reason === 'unsupported_algorithm' || crv === 'Ed448' ? 'note' : 'bad',
      what: `${name} cannot be used (${reason}): ${message} Tokens signed with it are rejected.`,
      remedy:
        reason === 'weak_key'
          ? 'At the provider: replace the key; anyone may be able to sign with it.'
          : 'At the provider: sign with another key, or publish this one correctly.',
    },
  ]
}

/** A key without `alg` is used with the first algorithm of the list that fits its type. */
function withoutAlg(
  usable: readonly JsonObject[],
  keys: readonly VerificationKey[],
  signing: readonly SignatureAlgorithm[] | undefined,
  algorithms: readonly SignatureAlgorithm[],
): Finding[] {
  return usable.flatMap((jwk, index): Finding[] => {
    const key = keys[index]
    if (jwk.alg !== undefined || !key) return []
    const possible = algorithms.filter((name) => fits(key.publicKey, name))
    const announced = (signing ?? []).filter((name) => possible.includes(name))
    const what = `Key ${key.kid.slice(0, SHOWN_KID)} has no alg and is used with ${key.alg}`
    const other = announced.filter((name) => name !== key.alg)
    if (possible.length === 1 || (announced.length > 0 && other.length === 0)) return []
    if (announced.length > 0 && !announced.includes(key.alg))
      return [
        {
          state: 'bad',
          what: `${what}, but the provider signs with ${announced.join(' or ')}: every such token is rejected`,
          remedy: `For every service: TOKEN_ALGORITHMS=${announced[0]}`,
        },
      ]
    return [
      {
        state: 'note',
        what,
        remedy: `If the provider signs with another one (${(other.length > 0 ? other : possible.filter((name) => name !== key.alg)).join(', ')}): TOKEN_ALGORITHMS with that one first, for every service.`,
      },
    ]
  })
}

function withoutKid(usable: readonly JsonObject[]): Finding[] {
  const count = usable.filter(({ kid }) => kid === undefined).length
  if (count === 0) return []
  return [
    {
      state: usable.length > 1 ? 'bad' : 'note',
      what:
        usable.length > 1
          ? `${count} of ${usable.length} keys have no kid: tokens cannot name them, and if several fit, a token without kid is rejected`
          : 'The key has no kid; that is unambiguous while it is the only one, but a rotation would reject tokens',
      remedy: 'At the provider: give every key a kid, and put it into the header of its tokens.',
    },
  ]
}

/** The announced algorithms without any key; the reverse is usual, because access tokens may have others. */
function mismatch(
  keys: readonly VerificationKey[],
  usable: readonly JsonObject[],
  signing: readonly SignatureAlgorithm[] | undefined,
): Finding[] {
  if (signing === undefined || signing.length === 0) return []
  const isPossible = (name: SignatureAlgorithm) =>
    keys.some((key, index) =>
      usable[index]?.alg === undefined ? fits(key.publicKey, name) : key.alg === name,
    )
  if (signing.some(isPossible)) return []
  return [
    {
      state: 'bad',
      what: `ID tokens are signed with ${signing.join(', ')}, but no published key fits`,
      remedy:
        'At the provider: publish the key that signs ID tokens, or sign with one of the published keys.',
    },
  ]
}

function cacheFindings(headers: Read['headers']): Finding[] {
  const control = String(headers['cache-control'] ?? '')
  const maxAge = Number(/(?:^|[\s,])max-age="?(\d+)/i.exec(control)?.[1] ?? Number.NaN)
  if (maxAge > DAY_S)
    return [
      {
        state: 'note',
        what: `The key set may be cached for ${Math.round(maxAge / DAY_S)} days (max-age=${maxAge}); services here load it again after ${USED_FOR_S / 60} minutes, but a cache on the way would keep a removed key that long`,
        remedy: 'At the provider: a max-age of minutes or hours.',
      },
    ]
  if (maxAge === 0 || /no-store|no-cache/i.test(control))
    return [
      {
        state: 'note',
        what: `The key set must not be cached (${control.slice(0, 60)}); services here use it for ${USED_FOR_S / 60} minutes all the same, so a removed key is accepted that long`,
      },
    ]
  return []
}
