import type { X509Svid } from './svid.ts'

/** Where one's own X.509-SVID comes from, asked anew for every handshake: that is how it rotates. */
export interface X509SvidSource {
  /** @throws SourceError when there is none to present: not yet, withdrawn, expired, closed */
  getX509Svid(): X509Svid
}
