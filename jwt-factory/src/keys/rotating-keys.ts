import { HttpError } from '@hallpass/service-kit'
import type { RotatingKey, RotatingKeys } from '../rotation/index.ts'
import type { KeyRing } from './key-ring.ts'
import type { KeyStore } from './key-store.ts'

/** What a schedule knows of a ring. */
export const rotatingKey = ({ keyId, signing, next }: KeyRing): RotatingKey => ({
  keyId,
  signing: { kid: signing.kid, sinceMs: signing.stored.sinceMs },
  ...(next ? { next: { kid: next.kid, sinceMs: next.stored.sinceMs } } : {}),
})

export interface RotatingKeysOptions {
  readonly onPublished: (ring: KeyRing) => Promise<void>
  readonly onRotated: (ring: KeyRing) => Promise<void>
}

/** The keys of a store, for a schedule. */
export const rotatingKeys = (
  keys: KeyStore,
  { onPublished, onRotated }: RotatingKeysOptions,
): RotatingKeys => ({
  async list() {
    await keys.current()
    return keys.rings.map(rotatingKey)
  },
  async publishNext(keyId) {
    await onPublished(await keys.publishNext(keyId))
  },
  async rotate(keyId, signingKid) {
    try {
      await onRotated(await keys.rotate(keyId, [signingKid]))
      return true
    } catch (error) {
      // Somebody rotated by hand meanwhile.
      if (error instanceof HttpError && error.code === 'other_key_signs') return false
      throw error
    }
  },
})
