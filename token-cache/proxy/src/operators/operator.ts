import { timingSafeEqual } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { explainExposure, StateFileError } from '@hallpass/private-files'
import {
  bearerToken,
  challenge,
  type Handler,
  HttpError,
  isLoopback,
  refuseForeignPages,
} from '@hallpass/service-kit'

/** 128 bits, as for every secret in the suite. */
const MIN_TOKEN_LENGTH = 22
const REALM = 'token-cache operators'

/**
 * Accepts only operators: requests from this machine, or with the token in `tokenFile`. Requests that another proxy on this
 * machine forwards also come from loopback, but not from a local user, so they are rejected.
 */
export function requireOperator(
  tokenFile: string | undefined,
  allowedHosts: readonly string[] = [],
): Handler {
  const refusalOf = refuseForeignPages(allowedHosts, { links: false })
  const token = tokenFile === undefined ? undefined : secretIn(tokenFile)
  if (token !== undefined && token.length < MIN_TOKEN_LENGTH)
    throw new Error(`The admin token in ${tokenFile} is shorter than ${MIN_TOKEN_LENGTH} characters.`)
  return (request, _response, next) => {
    if (token !== undefined && request.headers.authorization !== undefined) {
      if (!equal(bearerToken(request, REALM), token)) throw notAnOperator()
      next()
    } else if (isLocal(request)) {
      const refusal = refusalOf({
        method: request.method,
        host: request.headers.host,
        headers: request.headers,
      })
      if (refusal) throw refusal
      if (isOfOtherPage(request)) throw foreignOrigin()
      next()
    } else {
      throw notAnOperator()
    }
  }
}

/** @throws {StateFileError} if other users have access to the file */
function secretIn(file: string): string {
  const text = readFileSync(file, 'utf8').trim()
  const exposure = explainExposure(file, statSync(file))
  if (exposure) throw new StateFileError(file, exposure.reason, exposure.remedy)
  return text
}

function isLocal({ socket, headers }: IncomingMessage): boolean {
  const address = socket.remoteAddress?.replace(/^::ffff:/, '') ?? ''
  return isLoopback(address) && !['x-forwarded-for', 'forwarded', 'via'].some((name) => name in headers)
}

/**
 * Returns whether a page of another origin sent the request. To a browser, two ports of localhost are one site, but a page
 * on another port belongs to another program; it is only allowed to link here. Programs send neither field, and pages of
 * this service send its own origin.
 */
function isOfOtherPage({ method, headers }: IncomingMessage): boolean {
  const { host, origin, 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': dest } = headers
  if (site === 'same-origin') return false
  if (origin !== undefined && origin.toLowerCase() !== `http://${host}`.toLowerCase()) return true
  const followsLink = method === 'GET' && mode === 'navigate' && dest === 'document'
  return site !== undefined && site !== 'none' && !followsLink
}

function equal(shown: string, token: string): boolean {
  return shown.length === token.length && timingSafeEqual(Buffer.from(shown), Buffer.from(token))
}

const foreignOrigin = () =>
  new HttpError(403, 'foreign_origin', 'Operator requests from pages of another origin are rejected.', {
    headers: { vary: 'Sec-Fetch-Site, Origin' },
  })

const notAnOperator = () =>
  new HttpError(
    401,
    'not_an_operator',
    'Only operators are allowed: send the request from this machine or with the admin token.',
    {
      headers: { 'www-authenticate': challenge(REALM) },
    },
  )
