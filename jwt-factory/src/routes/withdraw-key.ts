import { badRequest, type Handler, type JsonObject, sendJson } from '@hallpass/service-kit'
import { type AuditLog, askedBy } from '../audit/index.ts'
import { type KeyStore, keyIdOf } from '../keys/index.ts'

/**
 * `POST /keys/:keyId/withdraw` with `{"kid": "…"}`, or `{"all": true}` or no body for all keys of the key ID: withdraws a
 * key that others may know. It leaves the key sets, its tokens are rejected, and another key signs from now on.
 */
export function withdrawKey(keys: KeyStore, audit: AuditLog): Handler {
  return async (request, response) => {
    const keyId = keyIdOf(request)
    const wanted = wantedOf((request.body ?? {}) as JsonObject)
    const { keys: all, signing } = await keys.withdraw(keyId, wanted)
    await audit.record({ action: 'withdrawn', ...askedBy(request), keyId, kid: wanted })
    const withdrawn = all.filter(({ state }) => state === 'withdrawn').map(({ kid }) => kid)
    sendJson(response, 200, { keyId, withdrawn, signing: signing.kid })
  }
}

function wantedOf({ kid, all, ...others }: JsonObject): string | 'all' {
  const isKid = typeof kid === 'string' && kid !== '' && all === undefined
  const isAll = kid === undefined && (all === undefined || all === true)
  if (Object.keys(others).length > 0 || !(isKid || isAll))
    throw badRequest('invalid_request', 'The body must be {"kid": "…"}, {"all": true}, or empty.')
  return isKid ? kid : 'all'
}
