export { Cookies } from './cookies.ts'
export { GatewayVisitors } from './gateway-visitors.ts'
export { newSecret, SessionStore } from './session-store.ts'
export { SessionTokens } from './session-tokens.ts'
export { SessionVisitors } from './session-visitors.ts'
export {
  type AccessSummary,
  stranger,
  type User,
  userFrom,
  type Visitor,
  type VisitorSource,
} from './visitor.ts'
