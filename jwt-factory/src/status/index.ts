export { IssuedStatuses } from './issued-statuses.ts'
export { publishStatusLists } from './publish-status-lists.ts'
export { statusClaim, statusIn } from './status-claim.ts'
