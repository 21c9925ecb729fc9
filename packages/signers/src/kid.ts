import type { KeyObject } from 'node:crypto'
import { thumbprint } from '@hallpass/tokens'

/** 22 characters of base64url are 132 bits of the key's thumbprint: practically unique. */
const THUMBPRINT_CHARACTERS = 22
const KEY_ID_CHARACTERS = 64 - 1 - THUMBPRINT_CHARACTERS

const KID = new RegExp(`^([A-Za-z0-9_-]+)-[\\w-]{${THUMBPRINT_CHARACTERS}}$`)

/**
 * Returns the kid of a key: its key ID and thumbprint, e.g. `servicea-Zk3…`. Key IDs are truncated to 41 characters, so
 * that the kid stays within 64.
 */
export const kidFor = (keyId: string, publicKey: KeyObject): string =>
  `${keyId.slice(0, KEY_ID_CHARACTERS)}-${thumbprint(publicKey).slice(0, THUMBPRINT_CHARACTERS)}`

/**
 * Returns the key ID that a kid begins with; undefined if it is not a kid of {@link kidFor}, or has only the start of a long
 * key ID.
 */
export function keyIdIn(kid: string): string | undefined {
  const [, keyId = ''] = KID.exec(kid) ?? []
  return keyId.length > 0 && keyId.length < KEY_ID_CHARACTERS ? keyId : undefined
}
