import { join } from 'node:path'
import { ensureExampleKeys } from '@hallpass/sse-gateway/client'
import { type Algorithm, importSigningKey, KeyError, libraries, type SigningKey } from '@hallpass/tokens'
import { CommandFailure, EXIT } from '../failure.ts'
import { stateFolderForKeys } from '../state-folder.ts'
import type { Terminal } from '../terminal/index.ts'
import { MAX_KEY_BYTES, readSmallFile } from './small-file.ts'

/** The claims of the documented stream token, which the gateway accepts by default. */
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
  /** `@file.pem`; by default the example key of the algorithm, created if missing. */
  readonly secret?: string | undefined
}

/** Returns the private key that the command line selects. */
export async function chooseKey({ alg, kid, secret }: KeyChoice, terminal: Terminal): Promise<SigningKey> {
  if (secret === undefined) {
    const { rs256, es256 } = await ensureExampleKeys(join(stateFolderForKeys(terminal), 'sse'))
    const key = alg === 'RS256' ? rs256 : alg === 'ES256' ? es256 : undefined
    if (!key)
      throw new CommandFailure(`No example key for ${alg}. Give a key with --secret @file.pem.`, EXIT.usage)
    return kid === undefined ? key : { ...key, kid }
  }
  if (!secret.startsWith('@'))
    throw new CommandFailure(
      '--secret requires a file, such as @private.pem: the shell history would store a secret on the command line.',
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

/** Signs any claims: unlike a service, the CLI can make bad tokens to show how they are rejected. */
export const mintToken = (
  claims: Readonly<Record<string, unknown>>,
  key: SigningKey,
  typ = 'JWT',
): Promise<string> => libraries['node-crypto'].sign(claims, key, typ)
