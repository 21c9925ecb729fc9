import { hash } from 'node:crypto'

/** Longer than the user agent of any current browser, yet short enough for readable keys and small entries. */
const MAX_PLAIN_LENGTH = 256
const DIGEST = 'sha256='
const IS_DIGEST = /^sha256=[\w-]{43}$/
const PLAIN_ASCII = /^[ -~]*$/
/** No control or format characters, and no space except U+0020: others cannot be distinguished visually. */
const PRINTABLE = /^(?:[^\p{C}\p{Z}]| )*$/u

/**
 * Returns the form in which an identity's field is stored, listed and addressed. A field that is too long to show, or has
 * invisible characters, is replaced by its SHA-256, which is exact and short enough to copy. A field that looks like such
 * a digest is hashed as well, so no two fields have the same form.
 */
export function canonicalField(text: string): string {
  const isPlain =
    text.length <= MAX_PLAIN_LENGTH &&
    !text.startsWith(DIGEST) &&
    (PLAIN_ASCII.test(text) || isPrintable(text))
  return isPlain ? text : `${DIGEST}${hash('sha256', text, 'base64url')}`
}

/** Returns the canonical form of a field that an operator wrote: the field itself or its listed digest. */
export function canonicalFieldOf(written: string): string {
  return IS_DIGEST.test(written) ? written : canonicalField(written)
}

const isPrintable = (text: string) => PRINTABLE.test(text) && text.normalize('NFC') === text

/** Decodes a header field: as UTF-8 if it is valid, as browsers and curl send it, else as Latin-1 (RFC 9110 §5.5). */
export function headerText(value: string): string {
  if (PLAIN_ASCII.test(value)) return value
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(value, 'latin1'))
  } catch {
    return value
  }
}

/** Encodes a string as a header field value; the inverse of {@link headerText}. */
export const headerValue = (text: string): string =>
  PLAIN_ASCII.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
