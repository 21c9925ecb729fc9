/** Fits into one length byte: existing gateways accept no longer IDs and types, and reject a longer `Last-Event-ID`. */
export const MAX_EVENT_ID_BYTES = 254

/** Control characters other than tab, which header values must not contain (RFC 9110 §5.5). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: matching them is the purpose.
const NOT_IN_A_HEADER = /[\0-\x08\x0a-\x1f\x7f]/

/** Returns whether a client can send an ID as `Last-Event-ID`. With a control character in it, the client cannot reconnect. */
export const canBeSentBack = (id: string): boolean => !NOT_IN_A_HEADER.test(id)

/**
 * Returns an ID as it arrives in a `Last-Event-ID` header: receivers strip leading and trailing spaces and tabs of every
 * header value (RFC 9110 §5.5), but not, for example, no-break spaces.
 */
export const asSentBack = (id: string): string => id.replace(/^[ \t]+|[ \t]+$/g, '')

/** Returns an ID as a header value: its UTF-8 bytes (HTML §9.2.3), each as one Latin-1 character, as Node writes them. */
export const toHeaderValue = (id: string): string =>
  Array.from(new TextEncoder().encode(id), (byte) => String.fromCharCode(byte)).join('')

/**
 * Returns the ID in a header value as Node reads it, one Latin-1 character per byte. Browsers send UTF-8; clients based
 * on `fetch` can only send Latin-1, so bytes that are not UTF-8 are read as Latin-1.
 */
export function fromHeaderValue(value: string): string {
  try {
    const bytes = Uint8Array.from(value, (character) => character.charCodeAt(0))
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return value
  }
}
