import { badRequest, type Handler, sendJson } from '@hallpass/service-kit'
import type { Request } from 'express'
import type { SpiffeCallee } from '../callees/index.ts'
import { faultOf, SOMEBODY_ELSE } from '../fault.ts'

/** A SPIFFE ID has at most 2048 bytes; other audiences are shorter. */
const MAX_AUDIENCE_LENGTH = 2048

/**
 * `GET /scenario5{?audience,fault}`: the agent identifies service A and signs a token for the audience; service A sends
 * it to the server, through a proxy that terminates TLS. By default the audience is the server.
 */
export function scenario5(callee: SpiffeCallee): Handler {
  return async (request, response) => {
    const audience = audienceOf(request, callee.id)
    const { status, body, via, svid } = await callee.call(audience)
    sendJson(response, 200, {
      valid: status === 200,
      status,
      message: body.trimEnd(),
      // The contents of the token, never the token itself.
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
    'Scenario 5 supports fault=wrong-audience, or audience=ID with your own audience. The agent never signs an SVID with another fault.',
  )
  const { audience = fault === undefined ? own : SOMEBODY_ELSE } = request.query
  if (typeof audience !== 'string' || audience === '' || audience.length > MAX_AUDIENCE_LENGTH)
    throw badRequest(
      'invalid_audience',
      `audience must be a single string of 1 to ${MAX_AUDIENCE_LENGTH} characters.`,
    )
  if (fault !== undefined && request.query.audience !== undefined)
    throw badRequest(
      'invalid_audience',
      'audience and fault=wrong-audience both set the audience. Send only one of them.',
    )
  return audience
}
