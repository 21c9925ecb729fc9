import { badRequest, type HttpError } from '@hallpass/service-kit'

/** Codes of undici for a request that it does not send. */
const NOT_SENDABLE = /^UND_ERR_(INVALID_ARG|NOT_SUPPORTED|REQ_CONTENT_LENGTH_MISMATCH)$/

/**
 * Returns the error for a request that the HTTP client refused to send. Such a request is the caller's fault: it is not
 * retried, and no upstream has failed.
 */
export function faultOfRequest(cause: unknown): HttpError | undefined {
  if (!NOT_SENDABLE.test((cause as { code?: string }).code ?? '')) return undefined
  return badRequest(
    'request_not_forwardable',
    'The request cannot be forwarded: its target, its method or a header is not valid.',
    cause,
  )
}
