/**
 * Decodes base64url as RFC 7515 §2 writes it: no padding, no white space, no `+` or `/`, no stray bits at the end.
 * Node's decoder forgives all of these, so what it read is written again and compared.
 * @returns undefined when the text is not exactly how these bytes are written.
 */
export function decodeBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}
