import { badRequest, type Handler, HttpError } from '@hallpass/service-kit'
import { JsonObjectParser, MAX_OBJECT_BYTES, PublicationError } from '../publication/index.ts'
import type { Publisher } from '../publishing/index.ts'

/** Handles POST /publish with the same object as over TCP. Responds 202 with the event's ID once the log has stored it. */
export function publish(publisher: Publisher): Handler {
  return async (request, response) => {
    // A page of another origin cannot send this type without a preflight, which this route does not allow.
    if (!/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? ''))
      throw badRequest('wrong_content_type', 'The body must be application/json.')
    const objects: Readonly<Record<string, unknown>>[] = []
    const parser = new JsonObjectParser({
      onObject: (object) => objects.push(object),
      onError: ({ status, code, message }) => {
        throw new HttpError(status, code, message)
      },
    })
    let size = 0
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length
      // White space before and after the object counts as well.
      if (size > 2 * MAX_OBJECT_BYTES)
        throw new HttpError(413, 'object_too_large', `The object is larger than ${MAX_OBJECT_BYTES} bytes.`)
      parser.push(chunk)
    }
    parser.end()
    const [object, second] = objects
    if (!object || second) throw badRequest('not_one_object', 'The body must be one JSON object.')
    try {
      response.status(202).json({ id: await publisher.publish(object) })
    } catch (error) {
      if (!(error instanceof PublicationError)) throw error
      throw new HttpError(error.status, error.code, error.message, { cause: error })
    }
  }
}
