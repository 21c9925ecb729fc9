export { Cookies } from './cookies.ts'
export { GatewayVisitors } from './gateway-visitors.ts'
export { MAX_SESSIONS, newSecret, SessionStore } from './session-store.ts'
export { sessionTokens } from './session-tokens.ts'
export { SessionVisitors } from './session-visitors.ts'
export { TokenRenewal } from './token-renewal.ts'
export {
  type AccessSummary,
  stranger,
  type User,
  userFrom,
  type Visitor,
  type VisitorSource,
} from './visitor.ts'
export { within } from './within.ts'
