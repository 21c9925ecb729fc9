export { IssuerState, type IssuerStateOptions } from './issuer-state.ts'
export { RevokedTokens } from './revoked-tokens.ts'
export { onState, stateUnavailable } from './state-unavailable.ts'
