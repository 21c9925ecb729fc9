import { KeyError } from '@hallpass/tokens'

/** How a token names a key: its CKA_LABEL for people, its CKA_ID for programs. */
export interface KeyName {
  readonly label: string
  readonly id: Buffer
}

const REFERENCE = /^pkcs11:token=([^;]+);object=([^;]+);id=((?:%[0-9a-f]{2})+);type=private$/

/** Writes the URI of a key (RFC 7512 §2.3), which other programs for tokens read, too. */
export const referenceOf = (token: string, { label, id }: KeyName): string =>
  `pkcs11:token=${encodeURIComponent(token)};object=${encodeURIComponent(label)};id=${percent(id)};type=private`

/** Reads what {@link referenceOf} wrote. @throws {KeyError} `invalid_key` */
export function parseReference(reference: string, kid: string): KeyName {
  const [, , label, id] = REFERENCE.exec(reference) ?? []
  if (label === undefined || id === undefined)
    throw new KeyError(
      'invalid_key',
      `The reference of key ${kid} is not the URI of a key in a PKCS#11 token.`,
    )
  return { label: decodeURIComponent(label), id: Buffer.from(id.replaceAll('%', ''), 'hex') }
}

const percent = (id: Buffer) => id.toString('hex').replace(/../g, '%$&')
