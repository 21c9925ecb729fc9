export { KeyValues, keyvalError } from './key-values.ts'
export { requireOperator } from './operator.ts'
export { Peers } from './peers.ts'
