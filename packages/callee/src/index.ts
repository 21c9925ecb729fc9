export { createCallee } from './callee.ts'
export { type CalleeConfig, calleeConfig } from './config.ts'
