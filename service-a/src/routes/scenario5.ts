import { badRequest, sendJson } from '@hallpass/service-kit'
import type { Request, RequestHandler } from 'express'
import { faultOf, SOMEBODY_ELSE } from '../fault.ts'
import type { SpiffeCallee } from '../spiffe-callee.ts'

/** A SPIFFE ID has at most 2048 bytes, and other audiences are shorter. */
const MAX_AUDIENCE_LENGTH = 2048

/**
 * `GET /scenario5{?audience,fault}`: the agent says who service A is and signs a token for the audience; service A shows it
 * to the server, through a proxy that ends TLS. Without an audience the token is for the server.
 */
export function scenario5(callee: SpiffeCallee): RequestHandler {
  return async (request, response) => {
    const audience = audienceOf(request, callee.id)
    const { status, body, via, svid } = await callee.call(audience)
    sendJson(response, 200, {
      valid: status === 200,
      status,
      message: body.trimEnd(),
      // What the token says, and never the token.
      svid,
      hops: [
        { from: 'service-a', to: 'spiffe-agent', gets: `a JWT-SVID of ${svid.id} for ${audience}` },
        { from: 'service-a', to: 'spiffe-proxy', over: 'TLS', peer: callee.id },
        ...(via?.includes('spiffe-proxy')
          ? [{ from: 'spiffe-proxy', to: 'spiffe-server', over: 'TLS', peer: callee.id }]
          : []),
      ],
    })
  }
}

function audienceOf(request: Request, own: string): string {
  const fault = faultOf(
    request,
    ['wrong-audience'],
    'Scenario 5 has the fault wrong-audience, or audience=ID for one of your choice: the agent signs no SVID that is bad in another way.',
  )
  const { audience = fault === undefined ? own : SOMEBODY_ELSE } = request.query
  if (typeof audience !== 'string' || audience === '' || audience.length > MAX_AUDIENCE_LENGTH)
    throw badRequest('invalid_audience', `An audience is one text of 1 to ${MAX_AUDIENCE_LENGTH} characters.`)
  if (fault !== undefined && request.query.audience !== undefined)
    throw badRequest('invalid_audience', 'audience and fault=wrong-audience both name an audience; give one.')
  return audience
}
