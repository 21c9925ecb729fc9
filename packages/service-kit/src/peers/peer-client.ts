import { parseJson } from '@hallpass/untrusted/json'
import axios, { AxiosHeaders, type AxiosInstance, type InternalAxiosRequestConfig } from 'axios'
import { connectPeer, type PeerCall, type PeerClientOptions, type PeerOptions } from './peer-caller.ts'

export type { AxiosInstance } from 'axios'

declare module 'axios' {
  interface AxiosRequestConfig {
    /** The response is cached for other requests too; see `PeerCall`. */
    shared?: boolean
  }
}

type Peer = ReturnType<typeof connectPeer>

/**
 * Creates an axios instance for calls to a peer, over the pool of `createPeerCaller` with all its behavior: keep-alive
 * connections, verified TLS, a deadline, a size limit, the trace, no redirects, no proxy from the environment. Any
 * status is a result for the caller to judge; a missing response is a PeerError that names the peer. `data` is the
 * parsed JSON, or a string for anything else; with `responseType: 'stream'` it is a Readable.
 *
 * Without a `baseUrl` every URL is absolute, for addresses that are not known in advance, e.g. those of a discovery
 * document; each origin has its own pool.
 */
export function createPeerClient(options: PeerOptions & Partial<PeerClientOptions>): AxiosInstance {
  const { baseUrl } = options
  const find = baseUrl === undefined ? byOrigin(options) : at(connectPeer({ ...options, baseUrl }))
  return axios.create({
    adapter: async (config) => {
      const { url = '/', params } = config
      const { peer, path } = find(params === undefined ? url : axios.getUri({ url, params }))
      const call = callOf(config, path)
      const { status, headers, data } =
        config.responseType === 'stream' ? streamed(await peer.open(call)) : read(await peer.ask(call))
      return {
        data,
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

/** Returns the peer of a URL and the path on it. */
type Find = (url: string) => { readonly peer: Peer; readonly path: string }

const at =
  (peer: Peer): Find =>
  (path) => ({ peer, path })

function byOrigin(options: PeerOptions): Find {
  const peers = new Map<string, Peer>()
  return (url) => {
    const { origin, pathname, search } = new URL(url)
    let peer = peers.get(origin)
    if (!peer) {
      peer = connectPeer({ ...options, baseUrl: origin })
      peers.set(origin, peer)
    }
    return { peer, path: pathname + search }
  }
}

const streamed = ({ body, ...head }: Awaited<ReturnType<Peer['open']>>) => ({ ...head, data: body })
const read = ({ status, headers, text }: Awaited<ReturnType<Peer['ask']>>) => ({
  status,
  headers,
  data: text,
})

/** Parses JSON; anything else, or JSON with numbers that JavaScript cannot represent, stays a string. */
function parse(this: InternalAxiosRequestConfig, data: unknown): unknown {
  if (typeof data !== 'string' || this.responseType === 'text') return data
  try {
    return parseJson(data)
  } catch {
    return data
  }
}

function callOf(config: InternalAxiosRequestConfig, path: string): PeerCall {
  const { method = 'get', data, timeout, shared } = config
  const headers = Object.entries(config.headers.toJSON()).map(([name, value]) => [name.toLowerCase(), value])
  return {
    method: method.toUpperCase() as PeerCall['method'],
    path,
    headers: Object.fromEntries(headers) as Record<string, string>,
    body: data as PeerCall['body'],
    // In axios, zero means no timeout.
    timeoutMs: timeout || undefined,
    shared,
  }
}
