import { join } from 'node:path'
import { ensureExampleKeys } from '@hallpass/sse-gateway/client'
import { type Algorithm, importSigningKey, KeyError, libraries, type SigningKey } from '@hallpass/tokens'
import { CommandFailure, EXIT } from './failure.ts'
import { MAX_KEY_BYTES, readSmallFile } from './small-file.ts'
import { stateFolderForKeys } from './state-folder.ts'
import type { Terminal } from './terminal.ts'

/** What the documented stream token says; the gateway's own defaults. */
export const STREAM_TOKEN = {
  iss: 'https://auth.example.com',
  aud: 'https://api.example.com',
  sub: 'example',
  scope: 'proxy:stream',
  lifetime: '30s',
} as const

export interface KeyChoice {
  readonly alg: Algorithm
  readonly kid?: string | undefined
  /** `@file.pem`; without it the example key of the algorithm is used, and made if there is none yet. */
  readonly secret?: string | undefined
}

/** The private key that a command line names. */
export async function chooseKey({ alg, kid, secret }: KeyChoice, terminal: Terminal): Promise<SigningKey> {
  if (secret === undefined) {
    const { rs256, es256 } = await ensureExampleKeys(join(stateFolderForKeys(terminal), 'sse'))
    const key = alg === 'RS256' ? rs256 : alg === 'ES256' ? es256 : undefined
    if (!key)
      throw new CommandFailure(
        `There is no example key for ${alg}; give one with --secret @file.pem.`,
        EXIT.usage,
      )
    return kid === undefined ? key : { ...key, kid }
  }
  if (!secret.startsWith('@'))
    throw new CommandFailure(
      '--secret takes a file, as @private.pem: a secret on a command line is in its history.',
      EXIT.usage,
    )
  const file = secret.slice(1)
  const pem = await readSmallFile(file, MAX_KEY_BYTES)
  try {
    return importSigningKey(pem, { alg, ...(kid === undefined ? {} : { kid }) })
  } catch (error) {
    if (error instanceof KeyError) throw new CommandFailure(`${file}: ${error.message}`)
    throw error
  }
}

/** Signs what it is given: unlike a service, a person with a key may want to see a bad token refused. */
export const mintToken = (
  claims: Readonly<Record<string, unknown>>,
  key: SigningKey,
  typ = 'JWT',
): Promise<string> => libraries['node-crypto'].sign(claims, key, typ)
