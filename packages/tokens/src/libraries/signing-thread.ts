import type { KeyObject } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import type { Claims } from '../compact/index.ts'
import type { AnySigningKey } from '../keys/index.ts'

/** The libraries that sign on the calling thread. */
type SynchronousLibrary = 'jsonwebtoken' | 'node-jose'

interface Request {
  readonly id: number
  readonly library: SynchronousLibrary
  readonly keyId: number
  readonly privateKey: KeyObject
  /** Serialized here, so that every library signs the same claims. */
  readonly claims: string
  readonly header: { readonly alg: string; readonly typ: string; readonly kid: string }
}

type Answer =
  | { readonly id: number; readonly token: string }
  | { readonly id: number; readonly failure: string }

/**
 * The worker's code. It is a string because neither a TypeScript loader, nor Jest, nor a bundle can start a worker from one
 * of our files. The libraries that it requires are resolved from this file.
 */
const THREAD = `
const { parentPort, workerData } = require('node:worker_threads')
const requireFrom = require('node:module').createRequire(workerData)

const MAX_CACHED_KEYS = 64
const keys = new Map()
async function joseKey({ keyId, privateKey, header }) {
  let key = keys.get(keyId)
  if (!key) {
    const jwk = { ...privateKey.export({ format: 'jwk' }), kid: header.kid }
    key = await requireFrom('node-jose').JWK.asKey(jwk)
    if (keys.size >= MAX_CACHED_KEYS) keys.delete(keys.keys().next().value)
    keys.set(keyId, key)
  }
  return key
}

const signers = {
  jsonwebtoken: ({ privateKey, claims, header }) => {
    const payload = JSON.parse(claims)
    // noTimestamp would also remove an iat from the claims.
    const noTimestamp = payload.iat === undefined
    return requireFrom('jsonwebtoken').sign(payload, privateKey, { algorithm: header.alg, header, noTimestamp })
  },
  'node-jose': async (request) => {
    const options = { format: 'compact', fields: request.header }
    const signer = { key: await joseKey(request), reference: false }
    // As bytes: node-jose truncates the characters of a string to eight bits.
    const payload = Buffer.from(request.claims)
    return requireFrom('node-jose').JWS.createSign(options, signer).update(payload).final()
  },
}

parentPort.on('message', async (request) => {
  const { id, library } = request
  try {
    parentPort.postMessage({ id, token: await signers[library](request) })
  } catch (error) {
    parentPort.postMessage({ id, failure: String(error && error.message) })
  }
})
`

interface Waiting {
  readonly resolve: (token: string) => void
  readonly reject: (error: Error) => void
}

const waiting = new Map<number, Waiting>()
const keyIds = new WeakMap<AnySigningKey, number>()
let thread: Worker | undefined
let lastId = 0

/**
 * Signs on a worker thread, for libraries that would block the event loop for the 260 µs of an RSA signature. All keys share
 * one thread. It is started on first use and does not keep an idle process alive.
 */
export function signInThread(
  library: SynchronousLibrary,
  claims: Claims,
  key: AnySigningKey,
  typ: string,
): Promise<string> {
  const { alg, kid, privateKey } = key
  lastId += 1
  const request: Request = {
    id: lastId,
    library,
    keyId: keyIdOf(key),
    privateKey,
    claims: JSON.stringify(claims),
    header: { alg, typ, kid },
  }
  return new Promise((resolve, reject) => {
    waiting.set(request.id, { resolve, reject })
    thread ??= startThread()
    // Keep the process alive only while a signature is pending.
    thread.ref()
    thread.postMessage(request)
  })
}

function keyIdOf(key: AnySigningKey): number {
  let id = keyIds.get(key)
  if (id === undefined) {
    lastId += 1
    id = lastId
    keyIds.set(key, id)
  }
  return id
}

function startThread(): Worker {
  // Without the process's flags: loading a TypeScript loader would take longer than starting the thread.
  const worker = new Worker(THREAD, { eval: true, workerData: import.meta.filename, execArgv: [] })
  worker.on('message', (answer: Answer) => {
    const request = waiting.get(answer.id)
    waiting.delete(answer.id)
    if (waiting.size === 0) worker.unref()
    if ('token' in answer) request?.resolve(answer.token)
    else request?.reject(new Error(answer.failure))
  })
  // If the thread dies, its requests fail, and the next request starts a new thread.
  worker.on('error', (error) => abandon(worker, error instanceof Error ? error : new Error(String(error))))
  worker.on('exit', (code) => abandon(worker, new Error(`The signing thread exited with code ${code}.`)))
  return worker
}

function abandon(worker: Worker, error: Error): void {
  if (thread !== worker) return
  thread = undefined
  const requests = [...waiting.values()]
  waiting.clear()
  for (const { reject } of requests) reject(error)
}
