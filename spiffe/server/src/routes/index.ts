import type { RequestListener } from 'node:http'
import type { Logger } from '@hallpass/service-kit'

const BODY = 'Success!!!'

/** Answers requests that have been authenticated and authorized. */
export function index(log: Logger): RequestListener {
  return (_request, response) => {
    log.info('Request received')
    response
      .writeHead(200, { 'content-type': 'text/plain; charset=utf-8', 'content-length': BODY.length })
      .end(BODY)
  }
}
