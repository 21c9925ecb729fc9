export { hasBody, isUnread, recordFailure, refuseUpgrade, sendError, sendJson, sendText } from './answers.ts'
export {
  type AuthorizedRequest,
  bearerToken,
  challenge,
  refusePlainTransport,
  requireBearer,
  requireTls,
  scopesOf,
  sendClaims,
} from './bearer.ts'
export { Drain } from './drain.ts'
export { noSuchEndpoint } from './express-app.ts'
export { type ForeignPagesGuard, foreignPagesGuard, refuseForeignPages } from './foreign-pages.ts'
export type { Handler } from './handler.ts'
export { type HttpService, httpService } from './http-service.ts'
export { formBody, type JsonObject, jsonBody, readJsonBody, textBody } from './json-body.ts'
export { listenForMetrics } from './metrics-listener.ts'
export { beginsWithSlash, malformedTarget, namesTwoHosts, settleTarget, twoHosts } from './request-target.ts'
