import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import { badRequest, HttpError } from '@hallpass/service-kit'
import { cappedMs } from '@hallpass/untrusted/timers'

/** Enough for a small body over a bad mobile connection; a slower client only keeps the connection busy. */
const BODY_TIMEOUT_MS = 10_000

/**
 * Reads a body of at most `maxBytes`.
 * @throws {HttpError} 413 if it is larger, 408 if it takes too long, 400 if it is incomplete.
 */
export function readBounded(
  body: Readable,
  headers: IncomingHttpHeaders,
  maxBytes: number,
  timeoutMs = BODY_TIMEOUT_MS,
): Promise<Buffer> {
  const tooLarge = () => new HttpError(413, 'body_too_large', `The body is larger than ${maxBytes} bytes.`)
  if (Number(headers['content-length']) > maxBytes) return Promise.reject(tooLarge())
  // A request without a body has already ended.
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
      () => refuse(new HttpError(408, 'body_too_slow', 'The body was sent too slowly.')),
      cappedMs(timeoutMs),
    ).unref()
    body.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > maxBytes) refuse(tooLarge())
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
