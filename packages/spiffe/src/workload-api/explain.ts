import { GrpcError, status } from '../grpc/index.ts'
import { ENDPOINT_VARIABLE } from './address.ts'

/** Returns a hint on the most likely cause of a Workload API failure. */
export function explain(error: unknown): string {
  if (error === undefined) return 'the agent is reachable but has sent nothing: is it hanging?'
  const systemCode = (error as { cause?: { code?: string } }).cause?.code
  if (systemCode === 'ENOENT')
    return `the socket does not exist: is the agent running, is ${ENDPOINT_VARIABLE} correct?`
  if (systemCode === 'ECONNREFUSED') return 'nothing listens on the socket: the agent has stopped'
  if (systemCode === 'EACCES') return `this process is not allowed to open the socket, ${whoAmI()}`
  if (!(error instanceof GrpcError)) return "the agent's response violates the Workload API standard"
  if (error.code === status.permissionDenied)
    // Any other message than SPIRE's generic one already contains the reason.
    return error.details === 'no identity issued'
      ? `the agent has no entry for this process, ${whoAmI()}`
      : `the agent rejects this process, ${whoAmI()}`
  if (error.code === status.invalidArgument)
    return 'the agent rejects the request itself: is this its Workload API?'
  if (error.code === status.unimplemented) return 'the server on this socket does not offer this method'
  return 'the agent is reachable but cannot answer: see its log'
}

const whoAmI = () => `uid ${process.getuid?.() ?? 'unknown'}, pid ${process.pid}`
