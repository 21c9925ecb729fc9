import { readJson } from '@hallpass/untrusted/json'
import axios, { AxiosHeaders, type AxiosInstance, type InternalAxiosRequestConfig } from 'axios'
import { createPeerCaller, type PeerCall, type PeerClientOptions } from './peer-caller.ts'

export type { AxiosInstance } from 'axios'

/**
 * How a service calls another: one axios instance per peer, over the pool of {@link createPeerCaller} with all that it
 * does. Every status is an answer, for the caller to judge; no answer is a PeerError that names the peer.
 */
export function createPeerClient(options: PeerClientOptions): AxiosInstance {
  const call = createPeerCaller(options)
  return axios.create({
    adapter: async (config) => {
      const { status, headers, text } = await call(callOf(config))
      return {
        data: text,
        status,
        statusText: '',
        headers: new AxiosHeaders(headers as Record<string, string>),
        config,
      }
    },
    transformResponse: [parse],
    validateStatus: null,
  })
}

/** What is not JSON stays text. */
function parse(text: string): unknown {
  try {
    return readJson(text)
  } catch {
    return text
  }
}

function callOf(config: InternalAxiosRequestConfig): PeerCall {
  const { url = '/', params, method = 'get', data } = config
  const headers = Object.entries(config.headers.toJSON()).map(([name, value]) => [name.toLowerCase(), value])
  return {
    method: method.toUpperCase() as PeerCall['method'],
    path: params === undefined ? url : axios.getUri({ url, params }),
    headers: Object.fromEntries(headers) as Record<string, string>,
    body: data as PeerCall['body'],
  }
}
