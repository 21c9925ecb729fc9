import { HttpError } from '@hallpass/service-kit'

/** A token is at most 8 KiB; the same again leaves room for other headers. */
export const MAX_HEADER_BYTES = 16 * 1024
/** What each field counts in addition to its name and value (RFC 9113 §6.5.2), for either of the two. */
const OVERHEAD_BYTES = 32 / 2

/**
 * Returns why an HTTP/2 request is rejected if its fields are larger than SETTINGS_MAX_HEADER_LIST_SIZE. Node itself resets
 * the stream of a client that has acknowledged the setting, and one with more than 128 fields.
 * @param rawHeaders alternating names and values
 */
export function tooLargeHeaders(rawHeaders: readonly string[]): HttpError | undefined {
  let size = 0
  for (const text of rawHeaders) size += text.length + OVERHEAD_BYTES
  if (size <= MAX_HEADER_BYTES) return undefined
  return new HttpError(
    431,
    'headers_too_large',
    `The header fields are larger than ${MAX_HEADER_BYTES} bytes.`,
  )
}
