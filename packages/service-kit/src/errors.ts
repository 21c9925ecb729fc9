export interface HttpErrorOptions {
  /** Logged, never sent. */
  cause?: unknown
  headers?: Readonly<Record<string, string>>
  /** Replaces the default body `{ error: { code, message } }`. */
  body?: unknown
}

/** A response other than success. Thrown anywhere below a route and rendered once, by the error middleware. */
export class HttpError extends Error {
  readonly status: number
  readonly code: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown

  constructor(status: number, code: string, message: string, options: HttpErrorOptions = {}) {
    super(message, { cause: options.cause })
    this.name = 'HttpError'
    this.status = status
    this.code = code
    this.headers = options.headers ?? {}
    this.body = options.body ?? { error: { code, message } }
  }
}

export const badRequest = (code: string, message: string, cause?: unknown) =>
  new HttpError(400, code, message, { cause })

export const notFound = (code: string, message: string) => new HttpError(404, code, message)

/** Maps the framework's errors to ours; their messages may quote the input, so they are not sent. */
const FRAMEWORK_ERRORS: Readonly<Record<string, readonly [status: number, code: string, message: string]>> = {
  'entity.parse.failed': [400, 'malformed_json', 'The body is not valid JSON.'],
  'entity.too.large': [413, 'body_too_large', 'The body is too large.'],
  'encoding.unsupported': [415, 'unsupported_encoding', 'The content encoding is not supported.'],
  'charset.unsupported': [415, 'unsupported_charset', 'The charset is not supported.'],
  'request.aborted': [400, 'request_aborted', 'The request ended before its body was complete.'],
  'request.size.invalid': [400, 'size_mismatch', 'The length of the body does not match Content-Length.'],
}

/** The errors of `packages/tokens` and `packages/spiffe` for keys that another service publishes and that cannot be used. */
const UNUSABLE_KEYS: readonly unknown[] = ['KeySetError', 'JwtBundleError', 'SpiffeBundleError']

/** Whether a verifier has no keys because the published ones are rejected: the issuer is at fault, not the token. */
export const isUnusableKeySet = (error: unknown): error is Error =>
  error instanceof Error && UNUSABLE_KEYS.includes(error.name)

/**
 * Whether a verifier cannot say yet whether a token's key is new or made up (`KeyNotLoadedError` of `packages/tokens`): a repeated
 * request gets the answer.
 */
export const isKeyNotLoaded = (error: unknown): error is Error & { readonly retryAfterSeconds: number } =>
  error instanceof Error &&
  error.name === 'KeyNotLoadedError' &&
  typeof (error as { retryAfterSeconds?: unknown }).retryAfterSeconds === 'number'

/** The errors of `packages/token-store` for a store that does not answer, or does not accept writes. */
const UNAVAILABLE_STORE: readonly unknown[] = ['StoreUnavailableError', 'StoreFullError', 'StoreLockedError']
/** A store fails over within seconds, and a full disk needs an operator; either way, a call now and then is enough. */
const STORE_RETRY_AFTER_SECONDS = 2

/** Whether a request failed because the store that it needs is not available. */
export const isUnavailableStore = (error: unknown): error is Error =>
  error instanceof Error && UNAVAILABLE_STORE.includes(error.name)

/** Converts any thrown value to an {@link HttpError}. */
export function toHttpError(thrown: unknown): HttpError {
  if (thrown instanceof HttpError) return thrown
  if (isUnusableKeySet(thrown)) return new HttpError(502, 'keys_unusable', thrown.message, { cause: thrown })
  if (isKeyNotLoaded(thrown))
    return new HttpError(503, 'keys_unavailable', thrown.message, {
      cause: thrown,
      headers: { 'retry-after': String(thrown.retryAfterSeconds) },
    })
  // A library may have wrapped it.
  const unavailable = [thrown, (thrown as Error | undefined)?.cause].find(isUnavailableStore)
  if (unavailable)
    return new HttpError(503, 'state_unavailable', unavailable.message, {
      cause: thrown,
      headers: { 'retry-after': String(STORE_RETRY_AFTER_SECONDS) },
    })
  const { type, status } = thrown as { type?: string; status?: number }
  const known = type === undefined ? undefined : FRAMEWORK_ERRORS[type]
  if (known) return new HttpError(...known, { cause: thrown })
  if (thrown instanceof URIError)
    return new HttpError(400, 'malformed_path', 'The path is not valid.', { cause: thrown })
  if (status !== undefined && status >= 400 && status < 500)
    return new HttpError(status, 'bad_request', 'The request is not valid.', { cause: thrown })
  return new HttpError(500, 'internal_error', 'Internal error. The cause is in the log of this service.', {
    cause: thrown,
  })
}
