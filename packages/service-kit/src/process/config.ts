import { join } from 'node:path'
import { MAX_TIMER_MS } from '@hallpass/untrusted/timers'

/** Ten years: longer than anything here is meant to last, and every time that comes of it is still a Date. */
const MAX_SECONDS = 315_360_000
/** The longest that a timer waits, in whole seconds. */
export const MAX_TIMER_SECONDS = Math.floor(MAX_TIMER_MS / 1000)

/** What a service may be told from outside; `process.env` in `main.ts`, a literal in a test. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Thrown once per start with every variable that is missing or wrong, so that one run shows them all. */
export class ConfigError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`The configuration is not usable:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** Reads variables, each with its parser; `readConfig` collects what goes wrong. */
export class VariableReader {
  readonly problems: string[] = []
  readonly #env: Environment

  constructor(env: Environment) {
    this.#env = env
  }

  /** A non-empty text; required when no default is given. */
  text(name: string, fallback?: string): string {
    return this.#read(name, fallback, (value) => value)
  }

  /** A text, or `undefined` when the variable is absent or empty. */
  optionalText(name: string): string | undefined {
    return this.#env[name] || undefined
  }

  /** A whole number between `min` and `max`. */
  integer(name: string, fallback: number, { min = 0, max = Number.MAX_SAFE_INTEGER } = {}): number {
    return this.#read(name, fallback, (value) => {
      const number = /^-?\d+$/.test(value) ? Number(value) : Number.NaN
      if (!(number >= min && number <= max)) throw new Error(`must be a whole number from ${min} to ${max}`)
      return number
    })
  }

  /** A time in milliseconds for one timer: what is longer would fire at once. */
  milliseconds(name: string, fallback: number, { min = 0, max = MAX_TIMER_MS } = {}): number {
    return this.integer(name, fallback, { min, max })
  }

  /** A time in seconds, ten years at most; for what goes into a timer of Node, `max` is MAX_TIMER_SECONDS. */
  seconds(name: string, fallback: number, { min = 0, max = MAX_SECONDS } = {}): number {
    return this.integer(name, fallback, { min, max })
  }

  /** A TCP port; 0 asks the system for a free one. */
  port(name: string, fallback: number): number {
    return this.integer(name, fallback, { min: 0, max: 65_535 })
  }

  /** `true`, `1`, `yes`, `on` or `false`, `0`, `no`, `off`; anything else is an error, never a silent `true`. */
  flag(name: string, fallback: boolean): boolean {
    return this.#read(name, fallback, (value) => {
      const lower = value.toLowerCase()
      if (['true', '1', 'yes', 'on'].includes(lower)) return true
      if (['false', '0', 'no', 'off'].includes(lower)) return false
      throw new Error('must be true or false')
    })
  }

  /** An absolute http or https URL, without its trailing slash. */
  url(name: string, fallback?: string): string {
    return this.#read(name, fallback, (value) => {
      if (!URL.canParse(value) || !/^https?:$/.test(new URL(value).protocol))
        throw new Error('must be an http or https URL')
      return value.replace(/\/+$/, '')
    })
  }

  /** A URL, or `undefined` when the variable is absent or empty. */
  optionalUrl(name: string): string | undefined {
    return this.#env[name] ? this.url(name) : undefined
  }

  oneOf<const T extends string>(name: string, allowed: readonly T[], fallback?: T): T {
    return this.#read(name, fallback, (value) => {
      if (!(allowed as readonly string[]).includes(value))
        throw new Error(`must be one of ${allowed.join(', ')}`)
      return value as T
    })
  }

  /** What `parse` makes of a text; what it throws becomes a problem. */
  parsed<T>(name: string, fallback: string, parse: (value: string) => T): T {
    try {
      return parse(this.#env[name] || fallback)
    } catch (error) {
      this.problems.push(`${name}: ${(error as Error).message}`)
      return undefined as T
    }
  }

  /** A comma-separated list; empty items are dropped. */
  list(name: string, fallback: readonly string[]): string[] {
    const value = this.#env[name]
    return (value === undefined ? [...fallback] : value.split(',')).map((item) => item.trim()).filter(Boolean)
  }

  /** A rule between several variables, e.g. "open callers only on loopback". */
  require(condition: boolean, problem: string): void {
    if (!condition) this.problems.push(problem)
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
 * @throws {ConfigError} naming every variable that is missing or wrong.
 */
export function readConfig<T>(env: Environment, read: (variables: VariableReader) => T): T {
  const variables = new VariableReader(env)
  const config = read(variables)
  if (variables.problems.length > 0) throw new ConfigError(variables.problems)
  return config
}

/** A load balancer of Kubernetes learns within about a second that a pod leaves; a slow one takes a few. */
const DRAIN_DELAY_MS = 5_000
/** Nobody balances on a laptop, and Ctrl-C should be over at once. */
const DEVELOPMENT_DRAIN_DELAY_MS = 250
/** Longer than any balancer takes to notice. */
const MAX_DRAIN_DELAY_MS = 60_000

/** The variables that every service has, with their defaults for a development start. */
export function commonConfig(variables: VariableReader) {
  const production = variables.optionalText('NODE_ENV') === 'production'
  return {
    production,
    /** The address to bind; loopback on a development start, every address elsewhere. */
    host: variables.text('HOST', production ? '0.0.0.0' : '127.0.0.1'),
    /** Names beside localhost under which a development start on loopback is called, e.g. through a tunnel. */
    allowedHosts: variables.list('ALLOWED_HOSTS', []),
    /** How long it goes on accepting connections after it is told to stop, with `/readyz` at 503. */
    drainDelayMs: variables.integer(
      'DRAIN_DELAY_MS',
      production ? DRAIN_DELAY_MS : DEVELOPMENT_DRAIN_DELAY_MS,
      { max: MAX_DRAIN_DELAY_MS },
    ),
    logLevel: variables.oneOf('LOG_LEVEL', ['fatal', 'error', 'warn', 'info', 'debug', 'silent'], 'info'),
    /** Keys, certificates and databases live here, for their owner's eyes only. */
    stateFolder: variables.text('STATE_FOLDER', '.hallpass'),
    /** Where to tell of hops, e.g. `tcp://localhost:7001`; absent, nothing is told. */
    hopsUrl: variables.optionalText('HOPS_URL'),
    /** An OpenTelemetry collector that hears of the same, as spans by OTLP over HTTP; absent, its SDK is not loaded. */
    otlpEndpoint: variables.optionalUrl('OTEL_EXPORTER_OTLP_ENDPOINT'),
  }
}

export type CommonConfig = ReturnType<typeof commonConfig>

/** Where the TLS files are. By default those that `@hallpass/certificates` makes on a development start. */
export function tlsConfig(variables: VariableReader, { stateFolder, production }: CommonConfig) {
  const names = ['CA_FILE', 'CERT_FILE', 'KEY_FILE'] as const
  const fallback = (file: string) => join(stateFolder, 'certificates', file)
  return {
    caFile: variables.text('CA_FILE', fallback('ca.pem')),
    certFile: variables.text('CERT_FILE', fallback('localhost.pem')),
    keyFile: variables.text('KEY_FILE', fallback('localhost-key.pem')),
    /** Whether a service may make the files itself when they are missing. */
    selfMade: !production && names.every((name) => variables.optionalText(name) === undefined),
  }
}

/** True for addresses that only this machine can reach; an IPv6 address may have its brackets. */
export function isLoopback(host: string): boolean {
  return /^(localhost|::1|\[::1\]|127\.\d+\.\d+\.\d+)$/.test(host)
}
