import type { Handler } from '@hallpass/service-kit'
import { StoreUnavailableError } from '@hallpass/token-store'
import type { Request } from 'express'
import { type KeyValues, keyvalError } from '../operators/index.ts'
import { parseKeyvalBody, requireBlock } from './keyval-body.ts'

/** Handles `POST /api/8/http/keyvals/tokens`: blocks keys or users that have no entry yet. */
export function addKey(tokens: KeyValues): Handler {
  return async (request: Request, response) => {
    const changes = parseKeyvalBody(request.body)
    for (const change of changes) requireBlock(change)
    if (changes.length > 1 && !(await isEmpty(tokens)))
      throw keyvalError(400, 'KeyvalFormatError', 'only one key can be added')
    for (const { key } of changes)
      if (await exists(tokens, key))
        throw keyvalError(409, 'KeyvalKeyExists', `key ${JSON.stringify(key)} already exists`)
    for (const { key, expire } of changes) await tokens.block(key, expire)
    response.status(201).end()
  }
}

/** Returns whether a key exists, or false if the store is unavailable, because blocking must work even then. */
async function exists(tokens: KeyValues, key: string): Promise<boolean> {
  try {
    return (await tokens.get(key)) !== undefined
  } catch (error) {
    if (error instanceof StoreUnavailableError) return false
    throw error
  }
}

async function isEmpty(tokens: KeyValues): Promise<boolean> {
  for await (const _ of tokens.all()) return false
  return true
}
