export { accessRule } from './access-rule.ts'
export { PUBLISH_SCOPE, SUBSCRIBE_SCOPE, type TokenGuard, tokenGuard } from './token-guard.ts'
