import type { RequestHandler } from 'express'

/** The documented answers, member for member. */
const ANSWERS = {
  '/data': { this: 'is', some: 'response', data: 'for you', from: 'the first backend' },
  '/data2': { dataFrom: 'second service' },
} as const

export type Endpoint = keyof typeof ANSWERS

export function sendData(endpoint: Endpoint): RequestHandler {
  return (_request, response) => {
    // What a token opened must not be kept by a cache between here and its holder.
    response.set('cache-control', 'no-store').json(ANSWERS[endpoint])
  }
}
