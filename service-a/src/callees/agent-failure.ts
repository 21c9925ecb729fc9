import { HttpError, PeerError } from '@hallpass/service-kit'
import { GrpcError, status } from '@hallpass/spiffe'
import { ENTRY_REVOKED } from '@hallpass/spiffe-agent/client'

const AGENT = 'spiffe-agent'

/**
 * Maps a failure to get an identity from the SPIFFE agent to the error for the caller.
 * @param hadIdentity whether the agent issued an identity earlier: then it has been revoked since
 */
export function agentFailure(error: unknown, hadIdentity: boolean): HttpError {
  const { message } = error as Error
  const answer = grpcErrorIn(error)
  if (answer?.code === status.permissionDenied) {
    const revoked = hadIdentity || message.includes(ENTRY_REVOKED)
    return new HttpError(
      503,
      revoked ? 'identity_revoked' : 'identity_not_issued',
      revoked
        ? `${AGENT} has revoked the identity of this workload. Restore its entry at the agent. ${message}`
        : `${AGENT} has no entry for this workload. Add one at the agent. ${message}`,
      { cause: error },
    )
  }
  const late = answer?.code === status.deadlineExceeded || message.includes('deadline exceeded')
  return new PeerError(
    AGENT,
    late ? 504 : 502,
    late ? 'peer_timeout' : 'peer_unreachable',
    `${AGENT}: ${message}`,
    error,
  )
}

/** Returns the agent's own error, which is at the end of the chain of causes. */
function grpcErrorIn(error: unknown): GrpcError | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (cause instanceof GrpcError) return cause
  return undefined
}
