import {
  keySetFileOf,
  keysMissing,
  MAX_TOKEN_LIFETIME_SECONDS,
  SERVICE_A,
  SERVICE_A_ISSUER,
} from './identity.ts'

/** What a callee needs to know about service A to verify its tokens. */
export const serviceA = {
  subject: SERVICE_A,
  issuer: SERVICE_A_ISSUER,
  maxTokenLifetimeSeconds: MAX_TOKEN_LIFETIME_SECONDS,
  keySetFile: keySetFileOf,
  keysMissing,
}
