import type { Handler } from '@hallpass/service-kit'

/** The documented responses, byte for byte. */
const ANSWERS = {
  '/data': { this: 'is', some: 'response', data: 'for you', from: 'the first backend' },
  '/data2': { dataFrom: 'second service' },
} as const

export type Endpoint = keyof typeof ANSWERS

export function sendData(endpoint: Endpoint): Handler {
  return (_request, response) => {
    // Responses that require a token must not be cached.
    response.set('cache-control', 'no-store').json(ANSWERS[endpoint])
  }
}
