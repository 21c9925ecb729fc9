import { badRequest, type Handler, sendJson } from '@hallpass/service-kit'
import { type AuditLog, type AuditPosition, isAuditAction } from '../audit/index.ts'
import { KEY_ID } from '../keys/index.ts'

const DEFAULT_LIMIT = 100
/** About 400 KB. */
const MAX_LIMIT = 1_000
/** A position in the log: the last sequence number of each trail, keys first. */
const POSITION = /^(\d{1,15})\.(\d{1,15})$/

/**
 * `GET /utils/audit?after=&limit=&action=&keyId=`: returns a page of the audit log, oldest first. `next` is the position
 * after it, from which a reader continues at any later time; a `Link` header (RFC 8288) with `rel="next"` means that there
 * are more entries now. `brokenAt` lists where entries were changed or removed.
 */
export function showAudit(audit: AuditLog): Handler {
  return async (request, response) => {
    const { after = '0.0', limit = String(DEFAULT_LIMIT), action, keyId } = request.query
    const position = POSITION.exec(String(after))
    if (!position) throw invalid('after must be the member next of an earlier page')
    if (!/^\d{1,4}$/.test(String(limit)) || Number(limit) < 1 || Number(limit) > MAX_LIMIT)
      throw invalid(`limit must be an integer from 1 to ${MAX_LIMIT}`)
    if (action !== undefined && !isAuditAction(action)) throw invalid('action is not one that is recorded')
    if (keyId !== undefined && !(typeof keyId === 'string' && KEY_ID.test(keyId)))
      throw invalid('keyId is not a key ID')
    const query = {
      after: { keys: Number(position[1]), tokens: Number(position[2]) },
      limit: Number(limit),
      action,
      keyId,
    }
    const { entries, next, hasMore, brokenAt } = await audit.read(query)
    if (hasMore) {
      const filter = new URLSearchParams({
        after: printed(next),
        limit: String(limit),
        ...(action === undefined ? {} : { action }),
        ...(keyId === undefined ? {} : { keyId }),
      })
      response.setHeader('link', `<${request.path}?${filter}>; rel="next"`)
    }
    response.setHeader('cache-control', 'no-store')
    sendJson(response, 200, { entries, next: printed(next), brokenAt })
  }
}

const printed = ({ keys, tokens }: AuditPosition) => `${keys}.${tokens}`

const invalid = (why: string) => badRequest('invalid_page', `The query is not valid: ${why}.`)
