import type { PagePolicy } from '@hallpass/pages'
import type { Visitor } from '../sessions/index.ts'

/** Returns what a visitor's page may load from other origins: only the user's picture. */
export const pagePolicy = ({ user }: Visitor): PagePolicy => ({
  images: user?.picture === undefined ? [] : [new URL(user.picture).origin],
})
