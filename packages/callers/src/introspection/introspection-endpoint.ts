import { readOwnerOnlyFile } from '@hallpass/private-files'
import {
  type Clock,
  createPeerCaller,
  HttpError,
  issuerEndpoint,
  PeerError,
  retryAfterSeconds,
  unexpectedAnswer,
} from '@hallpass/service-kit'
import { readJson } from '@hallpass/untrusted/json'
import { authorizationFor, type CredentialConfig } from '../credentials.ts'
import { AssertionType } from '../oauth/index.ts'

export interface IntrospectionEndpointOptions {
  readonly issuer: string
  /** By default from the issuer's discovery document. */
  readonly url: string | undefined
  /** The client ID of this service at the issuer. */
  readonly clientId: string
  /** A file with its client secret; instead of it, `credential`. */
  readonly clientSecretFile: string | undefined
  readonly credential: CredentialConfig
  readonly clock: Clock
}

const PEER = 'introspection endpoint'
/** A shared call gets half of it: 2.5 s, so that the answer is sent within the five seconds that callers wait for it. */
const TIMEOUT_MS = 5_000
/** The claims of a token are a few KiB at most. */
const MAX_ANSWER_BYTES = 64 * 1024
/** A replaced secret is used within this time. */
const SECRET_MAX_AGE_MS = 10_000
/** How long clients are told to wait if the endpoint does not say: providers restart within seconds. */
const RETRY_AFTER_SECONDS = 1
/** The longest wait that is passed on from the endpoint to clients: a longer one would outlast many access tokens. */
const MAX_RETRY_AFTER_SECONDS = 60
/** An endpoint that is not found may have moved: it is looked up again, but not for every bad answer. */
const FOUND_FOR_MS = 10_000
/** Failures that say nothing about the token and pass by themselves. */
const AWAY: readonly string[] = ['peer_unreachable', 'peer_timeout', 'deadline_exceeded']

/** The issuer's answer about one token (RFC 7662 §2.2). */
export type IntrospectionAnswer = Readonly<Record<string, unknown>> & { readonly active: boolean }

interface Connection {
  readonly ask: ReturnType<typeof createPeerCaller>
  readonly path: string
  /** When it was found in the discovery document; undefined if it is configured. */
  readonly foundAt: number | undefined
}

/** Asks an issuer about a token (RFC 7662 §2.1), authenticated as a client of it. */
export class IntrospectionEndpoint {
  readonly #options: IntrospectionEndpointOptions
  readonly #assertion: (() => Promise<string>) | undefined
  #secret: { readonly value: string; readonly readAt: number } | undefined
  #connected: Promise<Connection> | undefined

  constructor(options: IntrospectionEndpointOptions) {
    const { credential, clientId, issuer, clock } = options
    this.#options = options
    this.#assertion = authorizationFor(credential, { clientId, audience: issuer, clock })
  }

  /**
   * Returns the issuer's answer.
   * @throws {HttpError} 503 `introspection_unavailable` if it does not answer; 502 if the answer is not one of RFC 7662, e.g. because
   *   this service's own credentials are rejected
   */
  async ask(token: string): Promise<IntrospectionAnswer> {
    try {
      return await this.#askOnce(token)
    } catch (error) {
      if (!(error instanceof PeerError) || !AWAY.includes(error.code)) throw error
      throw unavailable(error)
    }
  }

  async #askOnce(token: string): Promise<IntrospectionAnswer> {
    const connection = this.#connect()
    const { ask, path, foundAt } = await connection
    const { form, headers } = await this.#credential()
    const {
      status,
      text,
      headers: answered,
    } = await ask({
      method: 'POST',
      path,
      headers: {
        accept: 'application/json',
        'content-type': 'application/x-www-form-urlencoded',
        ...headers,
      },
      body: new URLSearchParams({ token, token_type_hint: 'access_token', ...form }).toString(),
      shared: true,
    })
    if (status === 429 || status >= 500)
      throw unavailable(unexpectedAnswer(PEER, status, path), retryAfterSeconds(answered['retry-after']))
    if (status === 404 && this.#connected === connection && this.#mayHaveMoved(foundAt))
      this.#connected = undefined
    if (status === 401 || status === 403)
      throw unexpectedAnswer(PEER, status, "it rejects this service's own credentials, not the token")
    if (status === 400 && isUnsupported(text)) return { active: false }
    if (status !== 200) throw unexpectedAnswer(PEER, status, path)
    return answerIn(text)
  }

  #mayHaveMoved(foundAt: number | undefined): boolean {
    // Absolute, so that a clock that is set back does not keep an old endpoint.
    return foundAt !== undefined && Math.abs(this.#options.clock() - foundAt) >= FOUND_FOR_MS
  }

  /** The endpoint is looked up once; after a failure, or if it is not found, the next call looks it up again. */
  #connect() {
    this.#connected ??= this.#find().catch((error: unknown) => {
      this.#connected = undefined
      throw error
    })
    return this.#connected
  }

  async #find(): Promise<Connection> {
    const { url, issuer, clock } = this.#options
    const { origin, pathname, search } = new URL(
      url ?? (await issuerEndpoint(issuer, 'introspection_endpoint')),
    )
    const ask = createPeerCaller({
      peer: PEER,
      baseUrl: origin,
      timeoutMs: TIMEOUT_MS,
      maxAnswerBytes: MAX_ANSWER_BYTES,
      // The form has the token and may have a credential.
      confidential: true,
    })
    return { ask, path: pathname + search, foundAt: url === undefined ? clock() : undefined }
  }

  async #credential(): Promise<{ form?: Record<string, string>; headers?: Record<string, string> }> {
    const { clientId, clientSecretFile, credential } = this.#options
    if (clientSecretFile !== undefined)
      return { headers: { authorization: basic(clientId, await this.#read(clientSecretFile)) } }
    const authorization = await this.#assertion?.()
    if (authorization === undefined) return { form: { client_id: clientId } }
    // A token of the platform is a bearer token (RFC 7662 §2.1); an assertion belongs into the form (RFC 7523 §2.2).
    if (credential.kind === 'token-file') return { headers: { authorization } }
    return {
      form: {
        client_id: clientId,
        client_assertion: authorization.replace(/^Bearer /, ''),
        client_assertion_type: AssertionType.jwtBearer,
      },
    }
  }

  async #read(file: string): Promise<string> {
    const now = this.#options.clock()
    // Absolute, so that a clock that is set back does not keep an old secret.
    if (this.#secret && Math.abs(now - this.#secret.readAt) <= SECRET_MAX_AGE_MS) return this.#secret.value
    try {
      const value = (await readOwnerOnlyFile(file)).trim()
      if (value === '') throw new Error(`${file} is empty`)
      this.#secret = { value, readAt: now }
    } catch (error) {
      // While a tool replaces the file it can be incomplete, so the last secret is used; the endpoint decides whether it is still valid.
      if (!this.#secret) throw unavailable(error)
    }
    return this.#secret.value
  }
}

/**
 * Whether an error answer is about the token: oidc-provider does not introspect JWTs, and answers with the error of RFC 7009 §2.2.1.
 * Else clients could cause failures that seem to be the issuer's.
 */
function isUnsupported(text: string): boolean {
  try {
    return (readJson(text) as { error?: unknown } | null)?.error === 'unsupported_token_type'
  } catch {
    return false
  }
}

function answerIn(text: string): IntrospectionAnswer {
  let answer: unknown
  try {
    answer = readJson(text)
  } catch {
    throw unexpectedAnswer(PEER, 200, 'it is not JSON')
  }
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer))
    throw unexpectedAnswer(PEER, 200, 'it is not a JSON object')
  const { active } = answer as { active?: unknown }
  if (typeof active !== 'boolean')
    throw unexpectedAnswer(PEER, 200, 'it has no member active that is true or false (RFC 7662 §2.2)')
  return answer as IntrospectionAnswer
}

/** Returns HTTP Basic credentials of an OAuth client, whose parts are form-encoded first (RFC 6749 §2.3.1). */
function basic(clientId: string, secret: string): string {
  const encoded = (text: string) => new URLSearchParams([['', text]]).toString().slice(1)
  return `Basic ${Buffer.from(`${encoded(clientId)}:${encoded(secret)}`).toString('base64')}`
}

/**
 * Creates the error of a check that could not be made: the token is not accepted, and not blamed.
 * @param asked how many seconds the endpoint asks to wait
 */
export const unavailable = (cause?: unknown, asked = RETRY_AFTER_SECONDS) =>
  new HttpError(
    503,
    'introspection_unavailable',
    'The token cannot be checked: the introspection endpoint is not available. Retry later.',
    { cause, headers: { 'retry-after': String(within(asked)) } },
  )

const within = (seconds: number) => Math.min(Math.max(seconds, RETRY_AFTER_SECONDS), MAX_RETRY_AFTER_SECONDS)
