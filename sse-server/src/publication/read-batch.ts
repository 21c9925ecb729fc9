import { isUtf8 } from 'node:buffer'
import { JsonError, JsonNumber, readJson } from '@hallpass/untrusted/json'
import { JsonObjectError, MAX_DEPTH, NOT_AN_OBJECT } from './json-object-parser.ts'
import { PublicationError } from './publication.ts'

/**
 * The log stores a batch in one go, during which Redis answers nobody: a thousand small events took 25 ms. It is also what fits into
 * a body if objects have two kilobytes.
 */
export const MAX_BATCH = 1_000

/** White space before the first byte of a JSON text (RFC 8259 §2), with a byte order mark that some editors write. */
const ARRAY = /^(?:\xef\xbb\xbf)?[\t\n\r ]*\[/

/** Returns whether a body is an array of publications instead of one. */
export const isBatch = (body: Buffer): boolean => ARRAY.test(body.toString('latin1'))

/**
 * Returns the objects of a body that is a JSON array. Numbers that JavaScript would change are JsonNumbers.
 * @throws {JsonObjectError | PublicationError} if it is not an array of 1 to {@link MAX_BATCH} objects
 */
export function readBatch(body: Buffer): readonly Readonly<Record<string, unknown>>[] {
  const items = readArray(body)
  if (items.length === 0)
    throw new PublicationError('empty_batch', 'The array must contain at least one object.')
  if (items.length > MAX_BATCH)
    throw new PublicationError(
      'batch_too_large',
      `The array has ${items.length} objects. At most ${MAX_BATCH} are allowed.`,
    )
  const other = items.findIndex(
    (item) => typeof item !== 'object' || item === null || Array.isArray(item) || item instanceof JsonNumber,
  )
  if (other !== -1) throw new JsonObjectError('not_an_object', `[${other}]: ${NOT_AN_OBJECT}`)
  return items as readonly Readonly<Record<string, unknown>>[]
}

function readArray(body: Buffer): readonly unknown[] {
  if (!isUtf8(body)) throw new JsonObjectError('malformed_json', 'The array is not valid UTF-8.')
  try {
    // One level more than that of an object.
    return readJson(body.toString('utf8').replace(/^\ufeff/, ''), { maxDepth: MAX_DEPTH + 1 }) as unknown[]
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    if (error.code === 'duplicate_member') throw new JsonObjectError('duplicate_member', error.message)
    if (error.code === 'json_too_deep')
      throw new JsonObjectError(
        'object_too_deep',
        `An object of the array nests deeper than ${MAX_DEPTH} levels.`,
      )
    throw new JsonObjectError('malformed_json', 'The array is not valid JSON.')
  }
}
