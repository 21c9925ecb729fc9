import { type Handler, notFound } from '@hallpass/service-kit'
import type { Agent } from '../agent.ts'
import { AUTHORITY_KINDS, type AuthorityKind } from '../authorities/index.ts'

/** `GET /authorities`: lists all authorities with their states. */
export const listAuthorities =
  (agent: Agent): Handler =>
  (_request, response) => {
    const shown = (kind: AuthorityKind) =>
      agent.authorities[kind].stages.map(({ authority, state, activateAt, retireAt }) => ({
        id: authority.id,
        state,
        expiresAt: new Date(authority.notAfter),
        ...(activateAt === undefined ? {} : { activatesAt: new Date(activateAt) }),
        ...(retireAt === undefined ? {} : { retiresAt: new Date(retireAt) }),
      }))
    response.json({ sequence: agent.authorities.sequence, x509: shown('x509'), jwt: shown('jwt') })
  }

/** `POST /authorities/:kind/rotate`: publishes a new authority, which signs after the overlap. */
export const rotate =
  (agent: Agent, overlapSeconds: number): Handler =>
  async (request, response) => {
    const id = await agent.rotate(kindOf(request.params.kind))
    response.json({ id, activeAfterSeconds: overlapSeconds })
  }

/** `POST /authorities/:kind/retire`: removes the old authorities; what they signed is rejected from now on. */
export const retire =
  (agent: Agent): Handler =>
  async (request, response) => {
    response.json({ ids: await agent.retire(kindOf(request.params.kind)) })
  }

function kindOf(text: unknown): AuthorityKind {
  const kind = AUTHORITY_KINDS.find((known) => known === text)
  if (!kind)
    throw notFound(
      'no_such_authority',
      `Unknown kind of authority. Expected ${AUTHORITY_KINDS.join(' or ')}.`,
    )
  return kind
}
