import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from '@hallpass/free-ports'
import { RedisServers, type RedisTier } from '@hallpass/token-store/testing'
import { ServiceProcess } from './service-process.ts'

const REPLICAS = 3

/** An issuer of three replicas behind a balancer, with its state in Redis behind Sentinels, and services A, B and C. */
export class ReplicatedIssuer {
  readonly replicas: { readonly url: string; readonly process: ServiceProcess }[] = []
  /** The URL that services use. */
  issuerUrl = ''
  serviceAUrl = ''
  readonly #redis = new RedisServers()
  readonly #others: ServiceProcess[] = []
  #tier: RedisTier | undefined
  #folder = ''

  async start(): Promise<void> {
    this.#folder = await mkdtemp(join(tmpdir(), 'issuer-replicas-'))
    await this.#redis.open()
    this.#tier = await this.#redis.startTier('issuer')
    const keyFile = join(this.#folder, 'key-encryption.key')
    await writeFile(keyFile, randomBytes(32).toString('base64'), { mode: 0o600 })
    const [balancerPort, a, b, c, bTls, cTls, ...ports] = (await freePorts(6 + REPLICAS)) as [
      number,
      number,
      number,
      number,
      number,
      number,
      ...number[],
    ]
    const common = { HOST: '127.0.0.1', LOG_LEVEL: 'warn', DRAIN_DELAY_MS: '0' }
    for (const port of ports)
      this.replicas.push({
        url: `http://localhost:${port}`,
        process: new ServiceProcess('jwt-factory', port, {
          ...common,
          PORT: `${port}`,
          ALGORITHM: 'ES256',
          // Nothing is shared but Redis and the key-encryption key.
          STATE_FOLDER: join(this.#folder, `replica-${port}`),
          REDIS_URL: this.#tier.url,
          KEY_ENCRYPTION_KEY_FILE: keyFile,
        }),
      })
    const state = { ...common, STATE_FOLDER: join(this.#folder, 'services') }
    this.issuerUrl = `http://localhost:${balancerPort}`
    this.serviceAUrl = `http://localhost:${a}`
    const service = (name: string, port: number, env: Record<string, string>) => {
      const process = new ServiceProcess(name, port, { ...state, PORT: `${port}`, ...env })
      this.#others.push(process)
      return process.start()
    }
    await Promise.all(this.replicas.map(({ process }) => process.start()))
    await service('token-cache-load-balancer', balancerPort, {
      PROXY_URLS: this.replicas.map(({ url }) => url).join(),
      REMOTE_USER_FROM: 'nobody',
      CHECK_MS: '100',
    })
    const JWT_FACTORY_URL = this.issuerUrl
    await service('service-a', a, {
      JWT_FACTORY_URL,
      SERVICE_B_URL: `http://localhost:${b}`,
      SERVICE_C_URL: `http://localhost:${c}`,
      SERVICE_B_TLS_URL: `https://localhost:${bTls}`,
      SERVICE_C_TLS_URL: `https://localhost:${cTls}`,
    })
    await service('service-b', b, { JWT_FACTORY_URL, HTTPS_PORT: `${bTls}` })
    await service('service-c', c, { JWT_FACTORY_URL, HTTPS_PORT: `${cTls}` })
    for (const keyId of ['servicea', 'probe', 'rotated'])
      if (!(await fetch(`${this.issuerUrl}/keys/${keyId}`)).ok) throw new Error(`no key ${keyId}`)
    await fetch(`${this.serviceAUrl}/gen-keys`, { method: 'POST' })
  }

  /** Kills the master of Redis as a crash does. */
  async killMaster(): Promise<void> {
    await this.#redis.kill((this.#tier as RedisTier).master)
  }

  /** What the services have logged, for a failure. */
  get log(): string {
    return [...this.replicas.map(({ process }) => process), ...this.#others].map(({ log }) => log).join('')
  }

  async stop(): Promise<void> {
    const processes = [...this.#others, ...this.replicas.map(({ process }) => process)]
    await Promise.all(processes.map((process) => process.kill('SIGKILL')))
    await this.#redis.close()
    await rm(this.#folder, { recursive: true, force: true })
  }
}
