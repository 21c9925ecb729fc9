import { join } from 'node:path'
import { MAX_TIMER_MS } from '@hallpass/untrusted/timers'
import {
  butIs,
  type KeySource,
  keySourceProblems,
  meshNamed,
  plainIssuerProblem,
  plainUrlProblem,
  unencryptedProblem,
} from './transport.ts'

/** Ten years: longer than any lifetime here, and every resulting time is still a valid Date. */
const MAX_SECONDS = 315_360_000
/** The longest delay of a Node timer, in whole seconds. */
export const MAX_TIMER_SECONDS = Math.floor(MAX_TIMER_MS / 1000)

const DURATION_PART = /(\d+)([smhd])/g
const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Prints a duration in its largest exact unit, e.g. `22m`. */
function shownDuration(milliseconds: number): string {
  const [unit, size] = Object.entries(UNIT_MS).findLast(([, ms]) => milliseconds % ms === 0) ?? ['s', 1_000]
  return `${milliseconds / size}${unit}`
}

/** The environment of a service: `process.env` in `main.ts`, a literal in a test. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Thrown once at startup with every missing or invalid variable, so that one run shows them all. */
export class ConfigError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`Invalid configuration:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** Reads and parses variables; `readConfig` collects the problems. */
export class VariableReader {
  readonly problems: string[] = []
  readonly #env: Environment

  constructor(env: Environment) {
    this.#env = env
  }

  /** Reads a non-empty string; required if no default is given. */
  text(name: string, fallback?: string): string {
    return this.#read(name, fallback, (value) => value)
  }

  /** Reads a string; `undefined` if the variable is absent or empty. */
  optionalText(name: string): string | undefined {
    return this.#env[name] || undefined
  }

  /** Reads an integer between `min` and `max`. */
  integer(name: string, fallback: number, { min = 0, max = Number.MAX_SAFE_INTEGER } = {}): number {
    return this.#read(name, fallback, (value) => {
      const number = /^-?\d+$/.test(value) ? Number(value) : Number.NaN
      if (!(number >= min && number <= max)) throw new Error(`must be an integer from ${min} to ${max}`)
      return number
    })
  }

  /** Reads a duration in milliseconds for a single timer; Node fires a timer with a longer delay immediately. */
  milliseconds(name: string, fallback: number, { min = 0, max = MAX_TIMER_MS } = {}): number {
    return this.integer(name, fallback, { min, max })
  }

  /** Reads a duration in seconds, at most ten years; pass MAX_TIMER_SECONDS as `max` if a Node timer waits for it. */
  seconds(name: string, fallback: number, { min = 0, max = MAX_SECONDS } = {}): number {
    return this.integer(name, fallback, { min, max })
  }

  /**
   * Reads a duration with units and returns milliseconds: `90s`, `5m`, `1h30m`, `7d`; `undefined` if the variable is absent,
   * empty or `off`.
   */
  optionalDuration(
    name: string,
    { minMs = 0, maxMs = MAX_SECONDS * 1000 }: { readonly minMs?: number; readonly maxMs?: number } = {},
  ): number | undefined {
    return this.#readOptional(name, (value) => {
      if (value === 'off') return undefined
      const parts = [...value.matchAll(DURATION_PART)]
      const isDuration = parts.map(([part]) => part).join('') === value
      const total = parts.reduce(
        (sum, [, count, unit]) => sum + Number(count) * (UNIT_MS[unit as string] ?? 0),
        0,
      )
      if (!isDuration || !(total >= minMs && total <= maxMs))
        throw new Error(
          `must be a duration from ${shownDuration(minMs)} to ${shownDuration(maxMs)}, e.g. 90s, 5m, 1h30m or 7d`,
        )
      return total
    })
  }

  /** Reads a TCP port; 0 lets the system choose a free one. */
  port(name: string, fallback: number): number {
    return this.integer(name, fallback, { min: 0, max: 65_535 })
  }

  /**
   * Reads `true`, `1`, `yes`, `on` or `false`, `0`, `no`, `off`; any other value is an error, never a silent `true`.
   */
  flag(name: string, fallback: boolean): boolean {
    return this.#read(name, fallback, (value) => {
      const lower = value.toLowerCase()
      if (['true', '1', 'yes', 'on'].includes(lower)) return true
      if (['false', '0', 'no', 'off'].includes(lower)) return false
      throw new Error('must be true or false')
    })
  }

  /** Reads an absolute http or https URL and removes its trailing slash. */
  url(name: string, fallback?: string): string {
    return this.#read(name, fallback, (value) => {
      if (!URL.canParse(value) || !/^https?:$/.test(new URL(value).protocol))
        throw new Error('must be an http or https URL')
      return value.replace(/\/+$/, '')
    })
  }

  /** Reads a URL; `undefined` if the variable is absent or empty. */
  optionalUrl(name: string): string | undefined {
    return this.#env[name] ? this.url(name) : undefined
  }

  /**
   * Whether paths of trust must be encrypted: in production, unless `MESH` names the mesh that encrypts them. The other
   * `trusted…` methods refuse plain URLs then; loopback hosts are always allowed.
   */
  get requiresTls(): boolean {
    return this.#env.NODE_ENV === 'production' && !this.#env.MESH
  }

  /** Reads the URL of a service to which credentials are sent or whose answers are trusted. */
  trustedUrl(name: string, fallback?: string): string {
    const url = this.url(name, fallback)
    if (url !== undefined) this.requireTrusted(name, url)
    return url
  }

  /** Reads such a URL; `undefined` if the variable is absent or empty. */
  optionalTrustedUrl(name: string): string | undefined {
    return this.#env[name] ? this.trustedUrl(name) : undefined
  }

  /** Reads the name of an issuer, exactly as in the `iss` claim; if it is a URL, its keys are trusted. */
  trustedIssuer(name: string, fallback?: string): string {
    const issuer = this.text(name, fallback)
    const problem = issuer !== undefined && this.requiresTls ? plainIssuerProblem(issuer) : undefined
    if (problem) this.problems.push(`${name} ${problem}, but is ${JSON.stringify(issuer)}`)
    return issuer
  }

  /** Checks a URL from a list or a file; `where` names it in the problem. */
  requireTrusted(where: string, url: string): void {
    if (!this.requiresTls || !URL.canParse(url)) return
    const problem = plainUrlProblem(url)
    if (problem) this.#refuse(`${where} ${problem}, ${butIs(url)}`)
  }

  /**
   * Checks the URL of an issuer, of its keys, or another that must be encrypted in development too. Without encryption it is
   * accepted on this machine and in the mesh that `MESH` names.
   * @param harm what is possible otherwise; by default that keys are replaced
   */
  requireEncrypted(where: string, url: string, harm?: string): void {
    const problem = this.#env.MESH ? undefined : unencryptedProblem(where, url, harm)
    if (problem) this.#refuse(problem)
  }

  /** Reads an issuer, exactly as in the `iss` claim, and where its keys are; see {@link keySourceProblems}. */
  issuerWithKeys(names: KeySource & { readonly issuer: string }) {
    const found = {
      issuer: this.text(names.issuer),
      jwksFile: names.jwksFile === undefined ? undefined : this.optionalText(names.jwksFile),
      jwksUrl: names.jwksUrl === undefined ? undefined : this.optionalUrl(names.jwksUrl),
    }
    this.requireKeySource(names, found)
    return found
  }

  /** Checks an issuer and where its keys are, from several variables or a file; see {@link keySourceProblems}. */
  requireKeySource(names: KeySource, source: KeySource): void {
    for (const problem of keySourceProblems(names, source, Boolean(this.#env.MESH))) this.#refuse(problem)
  }

  /** Once, even if two parts of a configuration read the variable. */
  #refuse(problem: string): void {
    if (!this.problems.includes(problem)) this.problems.push(problem)
  }

  oneOf<const T extends string>(name: string, allowed: readonly T[], fallback?: T): T {
    return this.#read(name, fallback, (value) => {
      if (!(allowed as readonly string[]).includes(value))
        throw new Error(`must be one of ${allowed.join(', ')}`)
      return value as T
    })
  }

  /** Reads a string with `parse`; an error that it throws becomes a problem. */
  parsed<T>(name: string, fallback: string, parse: (value: string) => T): T {
    try {
      return parse(this.#env[name] || fallback)
    } catch (error) {
      this.problems.push(`${name}: ${(error as Error).message}`)
      return undefined as T
    }
  }

  /** Reads a comma-separated list without empty items, so that a check by it is never silently off. An empty value is an empty list. */
  list(name: string, fallback: readonly string[]): string[] {
    return this.#listOf(name, fallback, () => undefined)
  }

  /** Reads a comma-separated list of scopes, which have no spaces (RFC 6749 §3.3): with them it would require one that no token has. */
  scopes(name: string, fallback: readonly string[]): string[] {
    return this.#listOf(name, fallback, (item) =>
      /\s/.test(item) ? 'must separate scopes by commas, not by spaces' : undefined,
    )
  }

  #listOf(name: string, fallback: readonly string[], fault: (item: string) => string | undefined): string[] {
    const value = this.#env[name]
    if (value === '') return []
    const items = value === undefined ? [...fallback] : value.split(',').map((item) => item.trim())
    const problem = items.includes('')
      ? 'must be a list separated by commas, without empty items'
      : items.map(fault).find((one) => one !== undefined)
    if (problem) this.#refuse(`${name} ${problem}, but is ${JSON.stringify(value)}`)
    return items
  }

  /** Checks a rule that spans several variables, e.g. "unauthenticated callers only on loopback". */
  require(condition: boolean, problem: string): void {
    if (!condition) this.problems.push(problem)
  }

  #readOptional<T>(name: string, parse: (value: string) => T | undefined): T | undefined {
    return this.#env[name] ? this.#read<T | undefined>(name, undefined, parse) : undefined
  }

  #read<T>(name: string, fallback: T | undefined, parse: (value: string) => T): T {
    const value = this.#env[name]
    if (value === undefined || value === '') {
      if (fallback === undefined) this.problems.push(`${name} is required`)
      return fallback as T
    }
    try {
      return parse(value)
    } catch (error) {
      this.problems.push(`${name} ${(error as Error).message}, but is ${JSON.stringify(value)}`)
      return fallback as T
    }
  }
}

/**
 * Builds a service's configuration.
 * @throws {ConfigError} naming every missing or invalid variable
 */
export function readConfig<T>(env: Environment, read: (variables: VariableReader) => T): T {
  const variables = new VariableReader(env)
  const config = read(variables)
  if (variables.problems.length > 0) throw new ConfigError(variables.problems)
  return config
}

/** A Kubernetes load balancer notices within about a second that a pod is leaving; a slow one takes a few seconds. */
const DRAIN_DELAY_MS = 5_000
/** Development has no load balancer, and Ctrl-C should stop the suite immediately. */
const DEVELOPMENT_DRAIN_DELAY_MS = 250
/** Longer than any load balancer takes to notice. */
const MAX_DRAIN_DELAY_MS = 60_000
/** More than the clocks of two machines differ while both are synchronized; a virtual machine that resumes is corrected within it. */
const CLOCK_TOLERANCE_SECONDS = 5
/** More would hide a broken clock (RFC 7519 §4.1.4: "usually no more than a few minutes"). */
const MAX_CLOCK_TOLERANCE_SECONDS = 60

/** Reads the variables that every service has, with their defaults for development mode. */
export function commonConfig(variables: VariableReader) {
  const production = variables.optionalText('NODE_ENV') === 'production'
  return {
    production,
    /** The mesh that gives every connection of this service mutual TLS, by the operator's assertion. */
    mesh: variables.optionalText('MESH') === undefined ? undefined : variables.parsed('MESH', '', meshNamed),
    /** Whether credentials, tokens and keys may only travel encrypted: in production without a mesh. */
    requiresTls: variables.requiresTls,
    /** The address to bind: loopback in development mode, every address in production. */
    host: variables.text('HOST', production ? '0.0.0.0' : '127.0.0.1'),
    /** The port of the metrics, if they are not served beside the routes. */
    metricsPort:
      variables.optionalText('METRICS_PORT') === undefined ? undefined : variables.port('METRICS_PORT', 0),
    /** Host names other than localhost that a development service accepts, e.g. of a tunnel. */
    allowedHosts: variables.list('ALLOWED_HOSTS', []),
    /** How long the service keeps accepting connections after SIGTERM, while `/readyz` answers 503. */
    drainDelayMs: variables.integer(
      'DRAIN_DELAY_MS',
      production ? DRAIN_DELAY_MS : DEVELOPMENT_DRAIN_DELAY_MS,
      { max: MAX_DRAIN_DELAY_MS },
    ),
    /**
     * The difference between this service's clock and an issuer's that its verifiers tolerate, for `exp`, `nbf` and `iat`.
     * Pass it as `leewaySeconds` to every verifier.
     */
    clockToleranceSeconds: variables.seconds('CLOCK_TOLERANCE_SECONDS', CLOCK_TOLERANCE_SECONDS, {
      max: MAX_CLOCK_TOLERANCE_SECONDS,
    }),
    logLevel: variables.oneOf('LOG_LEVEL', ['fatal', 'error', 'warn', 'info', 'debug', 'silent'], 'info'),
    /** The state folder: keys, certificates and databases, readable only by their owner. */
    stateFolder: variables.text('STATE_FOLDER', '.hallpass'),
    /** Where hops are reported, e.g. `tcp://localhost:7001`; without it, no hops are reported. */
    hopsUrl: variables.optionalText('HOPS_URL'),
    /** The OpenTelemetry collector that receives hops as spans (OTLP over HTTP); without it, the SDK is not loaded. */
    otlpEndpoint: variables.optionalUrl('OTEL_EXPORTER_OTLP_ENDPOINT'),
  }
}

export type CommonConfig = ReturnType<typeof commonConfig>

/**
 * Reads what a service with an HTTPS listener beside the plain one needs: `HTTPS_PORT`, the TLS files, and
 * `CLIENT_CA_FILE`, with which clients may authenticate by certificate.
 * @param port the default port; without one, there is no HTTPS listener unless `HTTPS_PORT` is set
 */
export function httpsConfig(
  variables: VariableReader,
  common: CommonConfig,
  { port }: { readonly port?: number } = {},
) {
  const isSet = port !== undefined || variables.optionalText('HTTPS_PORT') !== undefined
  const clientCaFile = variables.optionalText('CLIENT_CA_FILE')
  variables.require(isSet || clientCaFile === undefined, 'CLIENT_CA_FILE needs HTTPS_PORT')
  return {
    httpsPort: isSet ? variables.port('HTTPS_PORT', port ?? 0) : undefined,
    tls: tlsConfig(variables, common),
    clientCertificates:
      clientCaFile === undefined ? undefined : ({ caFile: clientCaFile, required: false } as const),
  }
}

/** Reads the paths of the TLS files; by default those that `@hallpass/certificates` creates in development mode. */
export function tlsConfig(variables: VariableReader, { stateFolder, production }: CommonConfig) {
  const names = ['CA_FILE', 'CERT_FILE', 'KEY_FILE'] as const
  const fallback = (file: string) => join(stateFolder, 'certificates', file)
  return {
    caFile: variables.text('CA_FILE', fallback('ca.pem')),
    certFile: variables.text('CERT_FILE', fallback('localhost.pem')),
    keyFile: variables.text('KEY_FILE', fallback('localhost-key.pem')),
    /** Whether the service creates missing files itself. */
    selfMade: !production && names.every((name) => variables.optionalText(name) === undefined),
  }
}
