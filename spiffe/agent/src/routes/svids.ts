import type { Handler } from '@hallpass/service-kit'
import type { Agent } from '../agent.ts'

/** `GET /svids`: lists the current X.509-SVIDs, without keys or certificates. */
export const listSvids =
  (agent: Agent): Handler =>
  async (_request, response) => {
    const svids = await agent.issuer.held()
    response.json({
      issued: agent.issuer.issued,
      svids: svids.map(({ notBefore, notAfter, renewAt, ...svid }) => ({
        ...svid,
        notBefore: new Date(notBefore),
        expiresAt: new Date(notAfter),
        renewsAt: new Date(renewAt),
      })),
    })
  }
