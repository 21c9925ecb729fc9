import type { StreamGrant } from '@hallpass/guarded-stream'
import type { KeyIdentity } from '@hallpass/tokens'
import type { TopicPermissions } from './topics/index.ts'

/** What a valid token grants until it expires. */
export interface Grant extends StreamGrant {
  readonly roles: readonly string[]
  readonly jti: string | undefined
  /** The session of the token, for example a login (OpenID Connect `sid`). */
  readonly session: string | undefined
  readonly issuedAt: number | undefined
  /** The topics in the token's claim; undefined if the path has none, or from a gateway of an earlier version. */
  readonly topics?: TopicPermissions | undefined
  /** The key that signed the token; undefined from a gateway of an earlier version. */
  readonly signer: KeyIdentity | undefined
  /** When this gateway received the token, or the grant from another gateway; milliseconds since the epoch. */
  readonly verifiedAt: number
}
