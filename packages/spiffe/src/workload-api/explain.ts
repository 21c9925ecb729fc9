import { GrpcError, status } from '../grpc/status.ts'
import { ENDPOINT_VARIABLE } from './address.ts'

/** What to look at first when the Workload API does not give what is asked for. */
export function explain(error: unknown): string {
  if (error === undefined) return 'the agent is reached, but has sent nothing: is it hanging?'
  const systemCode = (error as { cause?: { code?: string } }).cause?.code
  if (systemCode === 'ENOENT')
    return `the socket does not exist: does the agent run, is ${ENDPOINT_VARIABLE} right?`
  if (systemCode === 'ECONNREFUSED') return 'nobody listens on the socket: the agent has stopped'
  if (systemCode === 'EACCES') return `the socket may not be opened by this process, ${whoAmI()}`
  if (!(error instanceof GrpcError)) return 'the answer of the agent breaks the rules of the Workload API'
  if (error.code === status.permissionDenied)
    // An agent that says more than SPIRE knows the reason better than we do.
    return error.details === 'no identity issued'
      ? `the agent has no entry for this process, ${whoAmI()}`
      : `the agent refuses this process, ${whoAmI()}`
  if (error.code === status.invalidArgument)
    return 'the agent refuses the request itself: is this its Workload API?'
  if (error.code === status.unimplemented) return 'the server on this socket does not offer this method'
  return 'the agent is reached, but cannot serve: its log has the reason'
}

const whoAmI = () => `uid ${process.getuid?.() ?? 'unknown'}, pid ${process.pid}`
