import { readFile } from 'node:fs/promises'
import { type Clock, unexpectedAnswer } from '@hallpass/service-kit'
import { createPeerClient } from '@hallpass/service-kit/axios'
import { type KeyFinder, remoteKeys } from '@hallpass/tokens'
import { readJson } from '@hallpass/untrusted/json'
import type { IssuerRule } from './config.ts'

/** A file is read again when it is this old, so a rotation on disk counts within seconds and needs no watcher. */
const FILE_MAX_AGE_MS = 4_000
const FILE_COOLDOWN_MS = 1_000
/** Slower than this, and whoever waits for a stream would rather be told to come back. */
const FETCH_TIMEOUT_MS = 3_000

/** Where the keys of an issuer come from: a file, or its published set, fetched at most once per cooldown. */
export function issuerKeys({ issuer, jwksFile, jwksUrl }: IssuerRule, clock: Clock): KeyFinder {
  if (jwksUrl === undefined)
    return remoteKeys({
      issuer,
      load: async () => readJson(await readFile(jwksFile as string, 'utf8')),
      maxAgeMs: FILE_MAX_AGE_MS,
      cooldownMs: FILE_COOLDOWN_MS,
      clock,
    })
  const { origin, pathname, search } = new URL(jwksUrl)
  const peer = createPeerClient({ peer: `keys of ${issuer}`, baseUrl: origin, timeoutMs: FETCH_TIMEOUT_MS })
  return remoteKeys({
    issuer,
    load: async () => {
      const { status, data } = await peer.get(pathname + search)
      if (status !== 200) throw unexpectedAnswer(`keys of ${issuer}`, status, 'no key set')
      return data
    },
    clock,
  })
}
