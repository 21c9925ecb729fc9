export { remoteStatusLists, type StatusLists, type StatusListsOptions } from './remote-status-lists.ts'
export {
  type EncodedStatusList,
  STATUS,
  type StatusBits,
  StatusList,
  StatusListError,
} from './status-list.ts'
export {
  MAX_STATUS_LIST_TOKEN_LENGTH,
  STATUS_LIST_TYPE,
  type StatusListTokenOptions,
  signStatusList,
  statusListClaims,
  type VerifiedStatusList,
  verifyStatusList,
} from './status-list-token.ts'
