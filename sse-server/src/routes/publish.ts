import { badRequest, type Handler, HttpError } from '@hallpass/service-kit'
import {
  isBatch,
  JsonObjectError,
  JsonObjectParser,
  MAX_BATCH,
  MAX_OBJECT_BYTES,
  PublicationError,
  readBatch,
} from '../publication/index.ts'
import type { Publisher } from '../publishing/index.ts'

type JsonObject = Readonly<Record<string, unknown>>

/** White space around an object counts as well; a batch has the same limit, because it is in memory as a whole. */
const MAX_BODY_BYTES = 2 * MAX_OBJECT_BYTES

/**
 * Handles POST /publish with the same object as over TCP, or with an array of objects, of which all are published or none.
 * Responds 202 with the event's ID, or with the IDs in order, once the log has stored them.
 */
export function publish(publisher: Publisher): Handler {
  return async (request, response) => {
    // A page of another origin cannot send this type without a preflight, which this route does not allow.
    if (!/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? ''))
      throw badRequest('wrong_content_type', 'The body must be application/json.')
    const body = await readBody(request as AsyncIterable<Buffer>)
    try {
      const answer = isBatch(body)
        ? { ids: await publisher.publishAll(readBatch(body)) }
        : { id: await publisher.publish(readObject(body)) }
      response.status(202).json(answer)
    } catch (error) {
      if (!(error instanceof PublicationError || error instanceof JsonObjectError)) throw error
      throw new HttpError(error.status, error.code, error.message, { cause: error })
    }
  }
}

async function readBody(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  let size = 0
  for await (const chunk of chunks) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) throw tooLarge(parts[0] ?? chunk)
    parts.push(chunk)
  }
  return Buffer.concat(parts)
}

const tooLarge = (beginning: Buffer) =>
  isBatch(beginning)
    ? new HttpError(
        413,
        'batch_too_large',
        `The array is larger than ${MAX_BODY_BYTES} bytes. Send at most ${MAX_BATCH} objects, and fewer if they are large.`,
      )
    : new HttpError(413, 'object_too_large', `The object is larger than ${MAX_OBJECT_BYTES} bytes.`)

function readObject(body: Buffer): JsonObject {
  const objects: JsonObject[] = []
  const parser = new JsonObjectParser({
    onObject: (object) => objects.push(object),
    onError: (error) => {
      throw error
    },
  })
  parser.push(body)
  parser.end()
  const [object, second] = objects
  if (!object || second)
    throw badRequest('not_one_object', 'The body must be one JSON object, or an array of objects.')
  return object
}
