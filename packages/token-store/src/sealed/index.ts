export { SealedStore, SecretMismatchError } from './sealed-store.ts'
export { type SealedEntry, SealedZone } from './sealed-zone.ts'
