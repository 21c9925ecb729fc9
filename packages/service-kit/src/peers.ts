/*
 * What calls a peer, apart from the rest: a process that seldom calls one imports this when it does, and is spared
 * the 4 MB of an HTTP client until then.
 */
export { PeerError } from './errors.ts'
export { createPeerCaller, unexpectedAnswer } from './peer-caller.ts'
