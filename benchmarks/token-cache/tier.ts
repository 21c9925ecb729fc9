import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from '@hallpass/free-ports'
import type { Algorithm } from '@hallpass/tokens'
import { API_PROGRAM, AUDIENCE, type BenchIssuer, ISSUER, startIssuer } from './issuer.ts'
import { startNginx } from './nginx.ts'
import { Contestant } from './processes.ts'

export const AGENT = 'bench/1.0'

/** An entry point for requests, and the processes that handle them. */
export interface Hop {
  readonly name: string
  readonly url: string
  readonly contestant: Contestant
  readonly headers: Readonly<Record<string, string>>
}

/** The processes of a token-cache benchmark: an API, an issuer, and the proxies in front of them. */
export class Tier {
  readonly folder = mkdtempSync(join(tmpdir(), 'bench-token-cache-'))
  readonly issuer: BenchIssuer
  readonly #root: string
  readonly #secret = randomBytes(32).toString('base64url')
  readonly #ports: number[]
  readonly #all: Contestant[] = []
  #api!: Hop

  private constructor(root: string, issuer: BenchIssuer, ports: number[]) {
    this.#root = root
    this.issuer = issuer
    this.#ports = ports
    writeFileSync(join(this.folder, 'secret'), this.#secret, { mode: 0o600 })
  }

  /** @param alg the algorithm of the issuer's tokens */
  static async open(root: string, alg: Algorithm): Promise<Tier> {
    const tier = new Tier(root, await startIssuer(alg), await freePorts(20))
    const port = tier.#port()
    const url = `http://127.0.0.1:${port}`
    const contestant = tier.#contestant()
    await contestant.start(process.execPath, ['-e', API_PROGRAM, String(port)], { ready: `${url}/healthz` })
    tier.#api = { name: 'API, no proxy', url, contestant, headers: { authorization: 'Bearer ey' } }
    return tier
  }

  get api(): Hop {
    return this.#api
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((contestant) => contestant.stop()))
    this.issuer.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }

  async nginx(name: string, config: { server: string; upstreams: string; log?: string }): Promise<Hop> {
    const contestant = this.#contestant()
    const url = await startNginx(contestant, this.folder, { port: this.#port(), ...config })
    return { name, url, contestant, headers: { 'remote-user': 'user1', 'user-agent': AGENT } }
  }

  /** @param store the store's folder; proxies with the same folder share their tokens */
  async proxy(name: string, store: string, env: Readonly<Record<string, string>> = {}): Promise<Hop> {
    const hop = await this.#service(name, 'token-cache-proxy', {
      STORE_FOLDER: join(this.folder, store),
      AUTH_URL: this.issuer.url,
      API_URL: this.#api.url,
      JWT_FACTORY_URL: this.issuer.url,
      ISSUER,
      AUDIENCE,
      ASSETS_FOLDER: join(this.#root, 'token-cache/proxy/public'),
      HOUSE_FOLDER: join(this.#root, 'web-ui/public'),
      ...env,
    })
    return { ...hop, headers: { ...hop.headers, 'x-hallpass-tier': this.#secret } }
  }

  balancer(name: string, proxies: readonly Hop[]): Promise<Hop> {
    return this.#service(name, 'token-cache-load-balancer', {
      PROXY_URLS: proxies.map(({ url }) => url).join(),
    })
  }

  async #service(name: string, bundle: string, env: Readonly<Record<string, string>>): Promise<Hop> {
    const contestant = this.#contestant()
    const port = this.#port()
    const url = `http://127.0.0.1:${port}`
    await contestant.start(process.execPath, [join(this.#root, `.hallpass/bundles/${bundle}.cjs`)], {
      ready: `${url}/healthz`,
      log: join(this.folder, `${port}.log`),
      env: {
        PORT: String(port),
        STATE_FOLDER: this.folder,
        TIER_SECRET_FILE: join(this.folder, 'secret'),
        LOG_LEVEL: 'warn',
        ...env,
      },
    })
    return { name, url, contestant, headers: { 'remote-user': 'user1', 'user-agent': AGENT } }
  }

  #contestant(): Contestant {
    const contestant = new Contestant()
    this.#all.push(contestant)
    return contestant
  }

  #port(): number {
    return this.#ports.pop() as number
  }
}
