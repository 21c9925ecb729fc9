export { Callee, type Outcome } from './callee.ts'
export { SpiffeCallee } from './spiffe-callee.ts'
