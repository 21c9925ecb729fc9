import { HttpError, isTokenRefusal, toHttpError } from '@hallpass/service-kit'
import { JsonObjectError, JsonObjectParser, PublicationError } from '../publication/index.ts'

export interface PublishObjectsOptions {
  readonly take: (object: Readonly<Record<string, unknown>>) => Promise<unknown>
  /** Called for each object that was not published, in order; returns false to stop reading. */
  readonly refused: (reason: Refusal) => boolean
}

/** An error that a publisher receives; `status` is the status of the same error over HTTP. */
export interface Refusal {
  readonly code: string
  readonly message: string
  readonly status: number
}

/** Publishes the objects of an input. It reads on only when the previous ones are in the log, so memory use is bounded. */
export async function publishObjects(
  input: AsyncIterable<Uint8Array>,
  { take, refused }: PublishObjectsOptions,
): Promise<void> {
  let results: Promise<unknown>[] = []
  const parser = new JsonObjectParser({
    onObject: (object) => results.push(take(object)),
    onError: (error) => results.push(Promise.reject(error)),
  })
  const settle = async () => {
    const settled = await Promise.allSettled(results)
    results = []
    return settled.every((result) => result.status === 'fulfilled' || refused(toRefusal(result.reason)))
  }
  for await (const chunk of input) {
    parser.push(chunk)
    if (!(await settle())) return
  }
  parser.end()
  await settle()
}

function toRefusal(error: unknown): Refusal {
  if (error instanceof HttpError) return error
  if (error instanceof JsonObjectError || error instanceof PublicationError) return error
  if (isTokenRefusal(error)) return { code: 'invalid_token', message: error.message, status: 401 }
  return toHttpError(error)
}
