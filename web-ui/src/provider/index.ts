export {
  type EndSession,
  type LoginAttempt,
  LoginRefused,
  OpenidClient,
  type Tokens,
} from './openid-client.ts'
export { TrustedIssuer } from './trusted-issuer.ts'
