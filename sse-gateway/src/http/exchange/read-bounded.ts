import type { Readable } from 'node:stream'
import { badRequest, HttpError } from '@hallpass/service-kit'

/** A request's body takes a moment; ten seconds are a phone in a tunnel, more is somebody who holds the line. */
const BODY_TIMEOUT_MS = 10_000

/**
 * Reads a small body.
 * @throws {HttpError} 413 when it is larger, 408 when it takes too long, 400 when it breaks off.
 */
export function readBounded(body: Readable, maxBytes: number): Promise<Buffer> {
  // A request that had no body has ended before anybody asked for it.
  if (body.readableEnded) return Promise.resolve(Buffer.alloc(0))
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const refuse = (error: HttpError) => {
      clearTimeout(timer)
      body.pause()
      reject(error)
    }
    const timer = setTimeout(
      () => refuse(new HttpError(408, 'body_too_slow', 'The body took too long.')),
      BODY_TIMEOUT_MS,
    ).unref()
    body.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > maxBytes)
        refuse(new HttpError(413, 'body_too_large', `The body is larger than ${maxBytes} bytes.`))
      else chunks.push(chunk)
    })
    body.once('end', () => {
      clearTimeout(timer)
      resolve(Buffer.concat(chunks))
    })
    const aborted = () =>
      refuse(badRequest('request_aborted', 'The request ended before its body was complete.'))
    body.once('error', aborted)
    body.once('close', aborted)
  })
}
