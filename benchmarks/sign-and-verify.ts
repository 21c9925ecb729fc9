import {
  ALGORITHMS,
  type Algorithm,
  cachedVerifier,
  exportPrivatePem,
  exportPublicPem,
  generateSigningKey,
  libraries,
  type SigningKey,
  signToken,
  staticKeys,
  type VerificationRules,
  verifyToken,
} from '@hallpass/tokens'
import jsonwebtoken from 'jsonwebtoken'
import { formatTable, median } from './table.ts'

/** Enough to keep the thread pool busy. */
const IN_FLIGHT = 16
const ROUNDS = 7
const ROUND_MS = 80
/** Enough that no library can benefit from verifying the same token repeatedly. */
const DISTINCT_TOKENS = 500

const claims = { iss: 'https://jwt-factory/', aud: 'serviceb', sub: 'servicea' }
const LIFETIME_SECONDS = 3600

interface Contestant {
  readonly name: string
  readonly act: (token: string) => unknown
}

/** The libraries are compared with our own adapter. */
const BASELINE = 'node-crypto'
const PER_CALL = 'jsonwebtoken, PEM per call'

/**
 * Measures signing and verifying with each library behind our interface, with all checks, and with jsonwebtoken as it is
 * mostly used, which parses its PEM for every call. All run in alternating rounds.
 */
export async function run(): Promise<void> {
  console.log(
    `${IN_FLIGHT} in flight, median of ${ROUNDS} rounds of ${ROUND_MS} ms each; CPU time is of all threads; ratios are of CPU time\n`,
  )
  const rows: string[][] = []
  for (const alg of ALGORITHMS) {
    const key = await generateSigningKey(alg)
    const tokens = await Promise.all(
      Array.from({ length: DISTINCT_TOKENS }, () =>
        signToken(claims, key, { lifetimeSeconds: LIFETIME_SECONDS }),
      ),
    )
    rows.push(...(await compare(`${alg} sign`, signers(alg, key), tokens)))
    rows.push(...(await compare(`${alg} verify`, verifiers(alg, key), tokens)))
  }
  console.log(formatTable(['', 'per second', 'CPU µs per call', 'x node-crypto', 'x PEM per call'], rows))
}

const supporting = (alg: Algorithm) =>
  Object.values(libraries).filter(({ algorithms }) => algorithms.includes(alg))

function signers(alg: Algorithm, key: SigningKey): Contestant[] {
  const pem = exportPrivatePem(key)
  const options = { algorithm: alg as 'RS256', keyid: key.kid, expiresIn: LIFETIME_SECONDS }
  return [
    ...supporting(alg).map((library) => ({
      name: library.name,
      act: () => signToken(claims, key, { lifetimeSeconds: LIFETIME_SECONDS, library }),
    })),
    ...(alg === 'EdDSA' ? [] : [{ name: PER_CALL, act: () => jsonwebtoken.sign(claims, pem, options) }]),
  ]
}

function verifiers(alg: Algorithm, key: SigningKey): Contestant[] {
  const pem = exportPublicPem(key)
  const rules: VerificationRules = {
    issuer: claims.iss,
    audience: claims.aud,
    subject: claims.sub,
    keys: staticKeys(claims.iss, [key]),
    maxLifetimeSeconds: LIFETIME_SECONDS,
  }
  const options = {
    algorithms: [alg as 'RS256'],
    issuer: claims.iss,
    audience: claims.aud,
    subject: claims.sub,
  }
  return [
    ...supporting(alg).map((library) => ({
      name: library.name,
      act: (token: string) => verifyToken(token, { ...rules, library }),
    })),
    { name: 'node-crypto, cached', act: cachedVerifier(rules) },
    ...(alg === 'EdDSA'
      ? []
      : [{ name: PER_CALL, act: (token: string) => jsonwebtoken.verify(token, pem, options) }]),
  ]
}

interface Figures {
  readonly perSecond: number
  readonly cpuMicroseconds: number
}

async function compare(
  what: string,
  contestants: readonly Contestant[],
  tokens: readonly string[],
): Promise<string[][]> {
  const results = new Map<string, Figures[]>(contestants.map(({ name }) => [name, []]))
  for (const contestant of contestants) await measure(contestant, tokens, ROUND_MS / 2)
  for (let round = 0; round < ROUNDS; round += 1)
    for (const contestant of contestants)
      results.get(contestant.name)?.push(await measure(contestant, tokens, ROUND_MS))
  const perSecond = (name: string) => median((results.get(name) ?? []).map((figures) => figures.perSecond))
  const cpu = (name: string) => median((results.get(name) ?? []).map((figures) => figures.cpuMicroseconds))
  // Ratios use CPU time, because calls per second depend on other load on the machine.
  const ratio = (name: string, to: string) => (results.has(to) ? (cpu(to) / cpu(name)).toFixed(2) : '–')
  return contestants.map(({ name }) => [
    `${what}, ${name}`,
    perSecond(name).toFixed(0),
    cpu(name).toFixed(1),
    ratio(name, BASELINE),
    ratio(name, PER_CALL),
  ])
}

async function measure(
  { act }: Contestant,
  tokens: readonly string[],
  milliseconds: number,
): Promise<Figures> {
  let done = 0
  const start = performance.now()
  const cpuStart = process.cpuUsage()
  const worker = async (first: number) => {
    for (let index = first; performance.now() - start < milliseconds; index += IN_FLIGHT) {
      await act(tokens[index % tokens.length] as string)
      done += 1
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, (_, first) => worker(first)))
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpuStart)
  return { perSecond: done / seconds, cpuMicroseconds: (user + system) / done }
}
