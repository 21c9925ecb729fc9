/**
 * Decodes base64url strictly (RFC 7515 §2): no padding, no white space, no `+` or `/`, no stray bits at the end.
 * Node's decoder tolerates all of these, so the result is encoded again and compared.
 * @returns undefined if `text` is not the canonical encoding.
 */
export function decodeBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}
