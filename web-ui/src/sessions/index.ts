export { Cookies } from './cookies.ts'
export { describeBrowser } from './describe-browser.ts'
export { GatewayVisitors } from './gateway-visitors.ts'
export { type OwnSession, OwnSessions } from './own-sessions.ts'
export { MAX_SESSIONS, newSecret, type Session, SessionStore } from './session-store.ts'
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
