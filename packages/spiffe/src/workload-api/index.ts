export { AddressError, ENDPOINT_VARIABLE, parseAddress, resolveAddress, socketUri } from './address.ts'
export {
  type FetchOptions,
  type ValidatedJwtSvid,
  WorkloadApiClient,
  type WorkloadApiClientOptions,
} from './client.ts'
export { MalformedResponseError } from './errors.ts'
export { explain } from './explain.ts'
export type { X509Context } from './responses.ts'
export type { Watcher } from './watch.ts'
