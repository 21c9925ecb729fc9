/*
 * What calls a peer, apart from the rest: a process that seldom calls one imports this when it does, and is spared
 * the 4 MB of an HTTP client until then.
 */
export { createPeerCaller } from './peer-caller.ts'
export { PeerError, unexpectedAnswer } from './peer-errors.ts'
