import type { KeyObject } from 'node:crypto'
import { thumbprint, type VerificationKey } from '@hallpass/tokens'

/** 22 characters of base64url are 132 bits of the key's thumbprint: practically unique. */
const THUMBPRINT_CHARACTERS = 22
/** The longest key ID that a kid contains whole. */
const KEY_ID_CHARACTERS = 64 - 1 - THUMBPRINT_CHARACTERS

const KID = new RegExp(`^([A-Za-z0-9_-]+)-[\\w-]{${THUMBPRINT_CHARACTERS}}$`)

/**
 * Returns the kid of a key: its key ID and thumbprint, e.g. `servicea-Zk3…`. Key IDs are truncated to 41 characters, so
 * that the kid stays within 64.
 */
export const kidFor = (keyId: string, publicKey: KeyObject): string =>
  `${keyId.slice(0, KEY_ID_CHARACTERS)}-${thumbprint(publicKey).slice(0, THUMBPRINT_CHARACTERS)}`

/** Sets a key's kid to {@link kidFor}. */
export const named = <K extends VerificationKey>(keyId: string, key: K): K => ({
  ...key,
  kid: kidFor(keyId, key.publicKey),
})

/**
 * Returns the key ID that a kid begins with; undefined if it is not a kid of {@link kidFor}, the key ID itself may be longer.
 */
export function keyIdIn(kid: string): string | undefined {
  const [, keyId = ''] = KID.exec(kid) ?? []
  return keyId.length <= KEY_ID_CHARACTERS && keyId !== '' ? keyId : undefined
}
