import { hash } from 'node:crypto'

/** Longer than any browser's agent that is in use; a key of all fields stays readable, and an entry small. */
const MAX_PLAIN_LENGTH = 256
const DIGEST = 'sha256='
const IS_DIGEST = /^sha256=[\w-]{43}$/
const PLAIN_ASCII = /^[ -~]*$/
/** No control and format characters, and no spaces but the plain one: what cannot be told apart by looking. */
const PRINTABLE = /^(?:[^\p{C}\p{Z}]| )*$/u

/**
 * The one form in which a field of an identity is stored, listed and addressed. A field that is too long to be shown, or
 * has characters that cannot be seen, is its SHA-256: exact, and short enough to be copied. What looks like a digest is
 * a digest of its own, so no two fields have one form.
 */
export function canonicalField(text: string): string {
  const isPlain =
    text.length <= MAX_PLAIN_LENGTH &&
    !text.startsWith(DIGEST) &&
    (PLAIN_ASCII.test(text) || isPrintable(text))
  return isPlain ? text : `${DIGEST}${hash('sha256', text, 'base64url')}`
}

/** As {@link canonicalField}, of what an operator writes: the field itself, or its digest as it is listed. */
export function canonicalFieldOf(written: string): string {
  return IS_DIGEST.test(written) ? written : canonicalField(written)
}

const isPrintable = (text: string) => PRINTABLE.test(text) && text.normalize('NFC') === text

/** The text of a header field: UTF-8 where it is that, as browsers and curl send it, else Latin-1 (RFC 9110 §5.5). */
export function headerText(value: string): string {
  if (PLAIN_ASCII.test(value)) return value
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(value, 'latin1'))
  } catch {
    return value
  }
}

/** The other way: a text as a header field can carry it. */
export const headerValue = (text: string): string =>
  PLAIN_ASCII.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
