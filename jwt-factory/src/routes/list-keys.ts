import { badRequest, type Handler, sendJson } from '@hallpass/service-kit'
import type { Request, Response } from 'express'
import { type KeyStore, rotatingKey } from '../keys/index.ts'
import type { KeyRotation } from '../rotation/index.ts'

/** All key IDs that we have measured with, in one answer of at most 640 KB; more follow in further pages. */
const MAX_KEY_IDS = 10_000
/** Each has several keys of 150 bytes. */
const MAX_KEY_STATES = 1_000

/**
 * `GET /utils/keys`: returns the key IDs in alphabetical order. `?limit=` and `?after=` return a page; a `Link` header
 * (RFC 8288) with `rel="next"` names the next one.
 */
export function listKeys(
  keys: KeyStore,
  now: () => number,
  rotation: KeyRotation,
): { readonly keyIds: Handler; readonly states: Handler } {
  return {
    keyIds: async (request, response) => {
      await keys.current()
      sendJson(response, 200, page(keys.keyIds, request, response, MAX_KEY_IDS))
    },
    /** `GET /utils/key-states`: returns every key of these key IDs with its state, without private parts; with a schedule also
     * when the next key is published (unless it is) and when it signs. */
    states: async (request, response) => {
      await keys.current()
      const shown = page(keys.keyIds, request, response, MAX_KEY_STATES)
      const rings = await Promise.all(shown.map((keyId) => keys.get(keyId)))
      sendJson(response, 200, {
        keyIds: rings.flatMap((ring) =>
          ring
            ? [{ keyId: ring.keyId, keys: ring.states(now()), plan: rotation.planOf(rotatingKey(ring)) }]
            : [],
        ),
      })
    },
  }
}

function page(keyIds: readonly string[], request: Request, response: Response, max: number): string[] {
  const { limit: wanted = String(max), after = '' } = request.query
  const limit = Number(wanted)
  if (typeof after !== 'string' || !/^\d{1,5}$/.test(String(wanted)) || limit < 1 || limit > max)
    throw badRequest('invalid_page', `limit must be an integer from 1 to ${max}, and after a key ID.`)
  const start = after === '' ? 0 : keyIds.findIndex((keyId) => keyId > after)
  const shown = start < 0 ? [] : keyIds.slice(start, start + limit)
  const last = shown.at(-1)
  if (last !== undefined && last !== keyIds.at(-1))
    response.setHeader('link', `<${request.path}?limit=${limit}&after=${last}>; rel="next"`)
  return shown
}
