import { isUtf8 } from 'node:buffer'
import { JsonError, parseJson } from '@hallpass/untrusted/json'
import { badRequest, HttpError } from '../errors.ts'
import { currentTrace, runInTrace } from '../observation/index.ts'
import type { Handler } from './handler.ts'

export type JsonObject = Readonly<Record<string, unknown>>

/** The largest body of the suite is a token (8 KiB) with a few parameters. */
const MAX_BODY_BYTES = 64 * 1024
/** Claims are flat; eight levels leave room for `act` chains and address claims. */
const MAX_DEPTH = 8

/**
 * Reads the body as a JSON object into `request.body`; an absent body is `{}`.
 * Rejects other content types, malformed or deeply nested JSON, invalid UTF-8, numbers that JavaScript cannot represent
 * exactly, duplicate members, and names that reach JavaScript's prototypes.
 */
export function jsonBody({ maxBytes = MAX_BODY_BYTES } = {}): Handler {
  return readBody(maxBytes, JSON_TYPE, 'The body must be application/json.', parseJsonObject)
}

/**
 * Reads an HTML form (RFC 6749 appendix B) into `request.body`. Rejects a repeated name, and percent-encoded bytes that are
 * not UTF-8.
 * @param repeatable the names that may be repeated; their values are a list, even of one
 */
export function formBody({ maxBytes = MAX_BODY_BYTES, repeatable = [] as readonly string[] } = {}): Handler {
  return readBody(maxBytes, FORM_TYPE, 'The body must be application/x-www-form-urlencoded.', (bytes) =>
    parseForm(bytes, repeatable),
  )
}

/**
 * Reads a body of any type as a string into `request.body`, for callers with their own parser; an absent body is empty.
 */
export function textBody({ maxBytes = MAX_BODY_BYTES } = {}): Handler {
  return readBody(maxBytes, ANY_TYPE, '', readText, '')
}

const ANY_TYPE = /^/
const JSON_TYPE = /^application\/(json|[\w.+-]+\+json)\s*(;|$)/i
const FORM_TYPE = /^application\/x-www-form-urlencoded\s*(;|$)/i

function readBody(
  maxBytes: number,
  type: RegExp,
  typeRule: string,
  parse: (bytes: Buffer) => unknown,
  absent: unknown = {},
): Handler {
  return (request, _response, next) => {
    const length = request.headers['content-length']
    if (length === '0' || (length === undefined && request.headers['transfer-encoding'] === undefined)) {
      request.body = absent
      return next()
    }
    if (Number(length) > maxBytes) return next(tooLarge(maxBytes))
    if (!type.test(request.headers['content-type'] ?? ''))
      return next(badRequest('wrong_content_type', typeRule))
    if (request.headers['content-encoding'] !== undefined)
      return next(badRequest('unsupported_encoding', 'The body must not be compressed.'))
    // The body arrives in the async context of the parser, so the trace of the request is entered again.
    const trace = currentTrace()
    const goOn = trace ? (error?: unknown) => runInTrace(trace, () => next(error)) : next
    const chunks: Buffer[] = []
    let size = 0
    let refused = false
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (refused) return
      if (size > maxBytes) {
        refused = true
        request.pause()
        goOn(tooLarge(maxBytes))
      } else chunks.push(chunk)
    })
    request.on('end', () => {
      if (refused) return
      try {
        request.body = parse(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks))
      } catch (error) {
        return goOn(error)
      }
      goOn()
    })
    request.on('error', (cause) =>
      goOn(badRequest('request_aborted', 'The request ended before its body was complete.', cause)),
    )
  }
}

/** Rejects invalid UTF-8, which decoding would silently replace. */
function readText(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw badRequest('invalid_utf8', 'The body is not valid UTF-8.')
  return bytes.toString('utf8')
}

function parseForm(bytes: Buffer, repeatable: readonly string[]): JsonObject {
  const form = new Map<string, string | string[]>()
  for (const pair of readText(bytes).split('&')) {
    if (pair === '') continue
    const [name, ...rest] = pair.split('=')
    const [key, value] = [decodeFormText(name as string), decodeFormText(rest.join('='))]
    const earlier = form.get(key)
    if (repeatable.includes(key)) form.set(key, [...(earlier ?? []), value])
    // RFC 6749 §3.1: parameters must not be included more than once.
    else if (earlier !== undefined || key in {})
      throw badRequest('repeated_parameter', 'The form repeats a parameter or uses a reserved name.')
    else form.set(key, value)
  }
  return Object.fromEntries(form)
}

/** Decodes a name or a value of a form; URLSearchParams would replace invalid bytes silently. */
function decodeFormText(encoded: string): string {
  try {
    return decodeURIComponent(encoded.replaceAll('+', ' '))
  } catch (cause) {
    throw badRequest('invalid_utf8', 'The form is not percent-encoded UTF-8.', cause)
  }
}

function parseJsonObject(bytes: Buffer): JsonObject {
  const value = readJsonBody(bytes)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw badRequest('not_an_object', 'The body must be a JSON object.')
  refuseTraps(value)
  return value as JsonObject
}

/**
 * Parses a body as JSON in UTF-8, nested at most `maxDepth` levels.
 * @throws {HttpError} 400 with the code of the {@link JsonError}, rather than change or lose a value silently
 */
export function readJsonBody(bytes: Buffer, maxDepth = MAX_DEPTH): unknown {
  if (!isUtf8(bytes)) throw badRequest('malformed_json', 'The body is not valid UTF-8.')
  try {
    return parseJson(bytes.toString('utf8'), { maxDepth })
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause
    if (cause.code === 'malformed_json')
      throw badRequest('malformed_json', 'The body is not valid JSON.', cause)
    if (cause.code === 'json_too_deep')
      throw badRequest('json_too_deep', `The body nests deeper than ${maxDepth} levels.`, cause)
    throw badRequest(cause.code, cause.message, cause)
  }
}

function refuseTraps(value: object) {
  for (const [name, member] of Object.entries(value)) {
    if (name === '__proto__' || name === 'constructor' || name === 'prototype')
      throw badRequest('forbidden_member', `The body must not have a member named ${name}.`)
    if (typeof member === 'object' && member !== null) refuseTraps(member)
  }
}

const tooLarge = (maxBytes: number) =>
  new HttpError(413, 'body_too_large', `The body is larger than ${maxBytes} bytes.`)
