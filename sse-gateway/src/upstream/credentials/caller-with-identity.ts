import { createPeerCaller, type PeerCaller, type PeerClientOptions } from '@hallpass/service-kit'
import type { TlsIdentity } from './tls-identity.ts'

/** Calls a peer over connections that were made with this identity. */
export type CallPeer = (tls: TlsIdentity, ...call: Parameters<PeerCaller>) => ReturnType<PeerCaller>

/** Returns a function that keeps its connections while the identity stays the same, and opens others when a file has changed. */
export function callerWithIdentity(options: Omit<PeerClientOptions, 'tls'>): CallPeer {
  let current: { readonly tls: TlsIdentity; readonly call: PeerCaller } | undefined
  return (tls, call) => {
    if (current === undefined || !isSame(current.tls, tls))
      current = { tls, call: createPeerCaller({ ...options, tls }) }
    return current.call(call)
  }
}

const isSame = (one: TlsIdentity, other: TlsIdentity) =>
  one.ca === other.ca && one.cert === other.cert && one.key === other.key
