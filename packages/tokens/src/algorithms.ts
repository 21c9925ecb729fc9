/** The algorithms of the suite; HMAC is never one of them, because whoever verifies could also sign. */
export type Algorithm = 'RS256' | 'PS256' | 'ES256' | 'EdDSA'
