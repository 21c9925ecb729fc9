import {
  StreamRegistry as AnyStreamRegistry,
  StreamSession as AnyStreamSession,
} from '@hallpass/guarded-stream'
import { covers, type Grant, type Revocation, type RevocationKind } from '../admission/index.ts'

/** A stream whose grant is this gateway's. */
export const StreamSession = AnyStreamSession<Grant>
export type StreamSession = AnyStreamSession<Grant>

/** The open streams of this gateway. */
export class StreamRegistry extends AnyStreamRegistry<Grant> {
  /** @param node the name of this gateway, so that other gateways know which one has a stream. */
  constructor(node?: string) {
    super({ node, namesOf: revocableNames })
  }

  /** Closes every stream whose current token is revoked, in slices. */
  endRevoked(revocation: Revocation): void {
    for (const session of this.named(revocableName(revocation.kind, revocation.value)))
      if (covers(revocation, session.grant)) session.endSoon('token_revoked')
  }
}

const revocableName = (kind: RevocationKind, value: string) => `${kind}\n${value}`

/** Returns the names of the revocations that may cover a grant. */
function revocableNames({ jti, subject, session }: Grant): string[] {
  const names: string[] = []
  if (jti !== undefined) names.push(revocableName('jti', jti))
  if (subject !== undefined) names.push(revocableName('sub', subject))
  if (session !== undefined) names.push(revocableName('session', session))
  return names
}
