export { MOTO_CREDENTIALS, Moto } from './testing/moto.ts'
export { hasMoto, hasSoftHsm, usePeerModules } from './testing/peers.ts'
export { SoftHsm } from './testing/softhsm.ts'
