/** One length byte holds it: gateways in use accept no longer ids and types, and reject a longer `Last-Event-ID`. */
export const MAX_EVENT_ID_BYTES = 254

/** RFC 9110 §5.5: what no header value contains: control characters other than the tab. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for.
const NOT_IN_A_HEADER = /[\0-\x08\x0a-\x1f\x7f]/

/** Whether a client can send an id back as `Last-Event-ID`; one with a control character ends its reconnections. */
export const canBeSentBack = (id: string): boolean => !NOT_IN_A_HEADER.test(id)

/**
 * Returns an id as it arrives in a `Last-Event-ID` header: receivers strip the outer spaces and tabs of every header
 * value (RFC 9110 §5.5), and nothing else; a no-break space stays.
 */
export const asSentBack = (id: string): string => id.replace(/^[ \t]+|[ \t]+$/g, '')

/** Returns an id as the value of a header: its UTF-8 bytes (HTML §9.2.3), one Latin-1 character each, as Node writes them. */
export const toHeaderValue = (id: string): string =>
  Array.from(new TextEncoder().encode(id), (byte) => String.fromCharCode(byte)).join('')

/**
 * Returns the id in a header value that Node has read, one Latin-1 character for each byte. Browsers send UTF-8;
 * clients made from `fetch` can only send Latin-1, so bytes that are not UTF-8 are read as that.
 */
export function fromHeaderValue(value: string): string {
  try {
    const bytes = Uint8Array.from(value, (character) => character.charCodeAt(0))
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return value
  }
}
