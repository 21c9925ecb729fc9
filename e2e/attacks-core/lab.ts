import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  sign as cryptoSign,
  type KeyObject,
  randomUUID,
} from 'node:crypto'
import { readFile } from 'node:fs/promises'
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import { join } from 'node:path'
import { ScenarioSuite, type ScenarioSuiteOptions } from './scenario-suite.ts'

export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
  /** The parsed body, if it is JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: each test checks the members that it expects.
  readonly body: any
}

export interface Attempt {
  readonly method?: string
  /** Names and values alternately, so that a name can occur twice. */
  readonly headers?: readonly string[]
  readonly body?: string | Buffer
  readonly ca?: string | undefined
}

/** Sends requests that a well-behaved client would not send. */
export function send(url: string, { method = 'GET', headers = [], body, ca }: Attempt = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { request } = ca === undefined ? http : https
    const fields = ['host', new URL(url).host, ...headers]
    if (body !== undefined) fields.push('content-length', String(Buffer.byteLength(body)))
    const outgoing = request(url, { method, agent: false, headers: fields as never, ...(ca ? { ca } : {}) })
    outgoing.on('response', async (response) => {
      let text = ''
      for await (const chunk of response.setEncoding('utf8')) text += chunk
      let parsed: unknown
      try {
        parsed = JSON.parse(text)
      } catch {}
      resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body: parsed })
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

const encode = (part: unknown) =>
  Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url')

export type Signer = (input: string) => Buffer | string

export const rsa =
  (key: KeyObject): Signer =>
  (input) =>
    cryptoSign('sha256', Buffer.from(input), key)

export const hmac =
  (secret: string | Buffer): Signer =>
  (input) =>
    createHmac('sha256', secret).update(input).digest()

/** Makes a token of any header and claims, as objects or strings, with any signature. */
export function forge(header: unknown, claims: unknown, signer: Signer): string {
  const input = `${encode(header)}.${encode(claims)}`
  const signature = signer(input)
  return `${input}.${typeof signature === 'string' ? signature : signature.toString('base64url')}`
}

/** An attacked verifier, with the header, claims and signing key of a valid token. */
export interface Target {
  readonly name: string
  readonly issuer: string
  readonly key: KeyObject
  readonly kid: string
  readonly header: Readonly<Record<string, unknown>>
  claims(changes?: object): Record<string, unknown>
  /** Makes a token that differs from a valid one only in these members; `undefined` removes a member. */
  token(changes?: { readonly header?: object; readonly claims?: object }): string
  present(token: string): Promise<Answer>
}

/**
 * The running services, and an attacker who has the signing keys, unlike a real one. So each attack fails for its own
 * reason and not because of its signature.
 */
export class Lab {
  readonly services: ScenarioSuite
  /** B with verification at the factory (scenario 1), and B with local verification (scenario 3). */
  targets: readonly [central: Target, own: Target] = [] as never

  constructor(options: ScenarioSuiteOptions = {}) {
    this.services = new ScenarioSuite(options)
  }

  async start(): Promise<void> {
    const { services } = this
    await services.start()
    const ca = await this.file('certificates/ca.pem')
    const ownKey = createPrivateKey(await this.file('scenario-3-keys/jwt-private.pem'))
    this.targets = [
      target({
        name: 'a service that asks the factory',
        issuer: 'https://jwt-factory/',
        key: createPrivateKey(await this.file('keys/servicea-private.pem')),
        kid: await this.#kidOfFactory(),
        present: (token) => this.atB('/scenario1-server', token),
      }),
      target({
        name: 'a service that knows A’s key',
        issuer: 'https://service-issuer',
        key: ownKey,
        kid: await this.#kidInKeySet(ownKey),
        present: (token) =>
          send(`${services.url('service-b', 'HTTPS_PORT')}/scenario3-server`, {
            headers: ['authorization', `Bearer ${token}`],
            ca,
          }),
      }),
    ]
  }

  stop = () => this.services.stop()

  file = (path: string) => readFile(join(this.services.stateFolder, path), 'utf8')

  atB = (path: string, token: string, service: 'service-b' | 'service-c' = 'service-b') =>
    send(`${this.services.url(service)}${path}`, { headers: ['authorization', `Bearer ${token}`] })

  /** The kid of A's key at B. */
  async #kidInKeySet(key: KeyObject): Promise<string> {
    const { keys } = JSON.parse(await this.file('scenario-3-keys/jwks.json'))
    const { n } = key.export({ format: 'jwk' })
    return keys.find((jwk: { n: string }) => jwk.n === n).kid
  }

  /** The kid of the factory's tokens. */
  async #kidOfFactory(): Promise<string> {
    const token = await this.services.issue({ aud: 'serviceb' })
    return JSON.parse(Buffer.from(token.split('.')[0] as string, 'base64url').toString()).kid
  }
}

function target(options: Pick<Target, 'name' | 'issuer' | 'key' | 'kid' | 'present'>): Target {
  const header = { alg: 'RS256', typ: 'JWT', kid: options.kid }
  const claims = (changes: object = {}) => {
    const iat = Math.floor(Date.now() / 1000)
    return {
      iss: options.issuer,
      sub: 'servicea',
      aud: 'serviceb',
      exp: iat + 30,
      iat,
      jti: randomUUID(),
      ...changes,
    }
  }
  return {
    ...options,
    header,
    claims,
    token: (changes = {}) =>
      forge({ ...header, ...changes.header }, claims(changes.claims), rsa(options.key)),
  }
}

/** The public keys in each form that a confused verifier might use as an HMAC secret. */
export function publicForms(key: KeyObject): Buffer[] {
  const publicKey = createPublicKey(key)
  return [
    ...(['spki', 'pkcs1'] as const).flatMap((type) => {
      const pem = publicKey.export({ type, format: 'pem' }).toString()
      return [Buffer.from(pem), Buffer.from(pem.trim()), publicKey.export({ type, format: 'der' })]
    }),
    Buffer.from(JSON.stringify(publicKey.export({ format: 'jwk' }))),
  ]
}
