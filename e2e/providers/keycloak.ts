import { join } from 'node:path'
import { Documented } from './documented.ts'
import type { Provider, ProviderUser, Registration, RunningProvider } from './provider.ts'
import { ProviderProcess, peersFolder } from './provider-process.ts'

export const keycloakProgram = join(peersFolder, 'keycloak/bin/kc.sh')

const REALM = 'hallpass'
const ADMIN = 'admin'
const ACCESS_TOKEN_SECONDS = 8
/** Enough for one realm. The default is two thirds of the memory of the machine in a container. */
const HEAP = '-Xms64m -Xmx512m'

/** The administration of the realm (Admin REST API), as the console and `kcadm.sh` use it. */
export class KeycloakAdmin {
  readonly #url: string

  constructor(url: string) {
    this.#url = url
  }

  /** @param path below `/admin/realms`. */
  async ask<T = void>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${this.#url}/admin/realms${path}`, {
      method,
      headers: { authorization: `Bearer ${await this.#token()}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return (text === '' ? undefined : JSON.parse(text)) as T
  }

  /** Merges members into the client `web-ui`; returns a function that restores it. */
  async changeClient(change: Partial<KeycloakClient>): Promise<() => Promise<void>> {
    const [client] = await this.ask<[KeycloakClient]>('GET', `/${REALM}/clients?clientId=web-ui`)
    const path = `/${REALM}/clients/${client.id}`
    const attributes = { ...client.attributes, ...change.attributes }
    await this.ask('PUT', path, { ...client, ...change, attributes })
    const cleared = Object.fromEntries(Object.keys(attributes).map((name) => [name, '']))
    return () => this.ask('PUT', path, { ...client, attributes: { ...cleared, ...client.attributes } })
  }

  /** Adds a protocol mapper to the client; returns a function that removes it. */
  async addMapper(
    protocolMapper: string,
    config: Readonly<Record<string, string>>,
  ): Promise<() => Promise<void>> {
    const [client] = await this.ask<[KeycloakClient]>('GET', `/${REALM}/clients?clientId=web-ui`)
    const path = `/${REALM}/clients/${client.id}/protocol-mappers/models`
    const mapper = { name: protocolMapper, protocol: 'openid-connect', protocolMapper, config }
    await this.ask('POST', path, mapper)
    const mappers = await this.ask<{ id: string; name: string }[]>('GET', path)
    const { id } = mappers.find(({ name }) => name === protocolMapper) as { id: string }
    return () => this.ask('DELETE', `${path}/${id}`)
  }

  /** Adds an RSA key with a higher priority than all others, with which the realm signs from now on. */
  async addKey(priority: number): Promise<void> {
    const { id } = await this.ask<{ id: string }>('GET', `/${REALM}`)
    await this.ask('POST', `/${REALM}/components`, {
      name: `rsa-${priority}`,
      providerId: 'rsa-generated',
      providerType: 'org.keycloak.keys.KeyProvider',
      parentId: id,
      config: {
        priority: [`${priority}`],
        enabled: ['true'],
        active: ['true'],
        algorithm: ['RS256'],
        keySize: ['2048'],
      },
    })
  }

  /** Makes all older RSA keys passive (they verify, and stay published) or disables them (they do not). */
  async retireKeys(before: number, how: 'passive' | 'disabled'): Promise<void> {
    type Component = { id: string; providerId: string; config: Record<string, string[]> }
    const components = await this.ask<Component[]>(
      'GET',
      `/${REALM}/components?type=org.keycloak.keys.KeyProvider`,
    )
    for (const component of components) {
      const { id, providerId, config } = component
      if (providerId !== 'rsa-generated' || Number(config.priority?.[0] ?? 0) >= before) continue
      const enabled = [`${how === 'passive'}`]
      await this.ask('PUT', `/${REALM}/components/${id}`, {
        ...component,
        config: { ...config, active: ['false'], enabled },
      })
    }
  }

  /** Disables a user; returns a function that enables it again. */
  async disableUser(username: string): Promise<() => Promise<void>> {
    const [user] = await this.ask<[{ id: string }]>('GET', `/${REALM}/users?username=${username}&exact=true`)
    const set = (enabled: boolean) => this.ask('PUT', `/${REALM}/users/${user.id}`, { ...user, enabled })
    await set(false)
    return () => set(true)
  }

  async #token(): Promise<string> {
    const response = await fetch(`${this.#url}/realms/master/protocol/openid-connect/token`, {
      method: 'POST',
      body: new URLSearchParams({
        client_id: 'admin-cli',
        grant_type: 'password',
        username: ADMIN,
        password: ADMIN,
      }),
    })
    const { access_token } = (await response.json()) as { access_token: string }
    return access_token
  }
}

interface KeycloakClient {
  readonly id: string
  readonly clientAuthenticatorType: string
  readonly attributes: Readonly<Record<string, string>>
}

/** Keycloak with the realm, the client and the settings of docs/providers/keycloak.md. */
export class Keycloak implements Provider {
  readonly name = 'Keycloak'
  readonly lacks = {}
  #admin: KeycloakAdmin | undefined
  #priority = 200

  get admin(): KeycloakAdmin {
    if (!this.#admin) throw new Error('Keycloak has not started.')
    return this.#admin
  }

  /** Signs with a new key; the old ones stay published. */
  async rotateKeys(): Promise<void> {
    this.#priority += 1
    await this.admin.addKey(this.#priority)
    await this.admin.retireKeys(this.#priority, 'passive')
  }

  /** Withdraws all keys but the newest, as after a leak. */
  disableOldKeys = () => this.admin.retireKeys(this.#priority, 'disabled')

  async start({ webUiUrl, publicPort, port }: Registration): Promise<RunningProvider> {
    const url = `http://127.0.0.1:${port}`
    const page = new Documented('keycloak', {
      'http://localhost:8080': `http://localhost:${publicPort}`,
      'http://localhost:4000': webUiUrl,
    })
    const server = new ProviderProcess(
      keycloakProgram,
      [
        ...['start', '--optimized', '--cache=local', '--http-enabled=true', '--http-host=127.0.0.1'],
        ...[`--http-port=${port}`, `--hostname=http://localhost:${publicPort}`, '--log-level=warn'],
      ],
      `${url}/realms/master`,
    )
    await server.start({
      KC_BOOTSTRAP_ADMIN_USERNAME: ADMIN,
      KC_BOOTSTRAP_ADMIN_PASSWORD: ADMIN,
      JAVA_OPTS_KC_HEAP: HEAP,
      // Faster than the optimizing compiler, for a server that runs for a minute.
      JAVA_OPTS_APPEND: '-XX:TieredStopAtLevel=1',
    })
    const admin = new KeycloakAdmin(url)
    this.#admin = admin
    try {
      await admin.ask('POST', '', { ...page.json<object>(), accessTokenLifespan: ACCESS_TOKEN_SECONDS })
    } catch (error) {
      await server.kill()
      throw error
    }
    const users: Record<'both' | 'onlyData', ProviderUser> = {
      both: { login: 'ada', password: 'ada', name: 'Ada Okafor' },
      onlyData: { login: 'ben', password: 'ben', name: 'Ben Ruiz' },
    }
    const webUi = page.settings('web UI')
    return {
      issuer: webUi.ISSUER_BASE_URL as string,
      webUi,
      backend: page.settings('backend-api'),
      accessTokenSeconds: ACCESS_TOKEN_SECONDS,
      users,
      async logIn(browserPage, { login, password }) {
        await browserPage.getByLabel('Username or email').fill(login)
        await browserPage.getByLabel('Password', { exact: true }).fill(password)
        await browserPage.getByRole('button', { name: 'Sign In' }).click()
      },
      showsLogin: (browserPage) => browserPage.getByLabel('Username or email').waitFor(),
      rotateKeys: () => this.rotateKeys(),
      async endSessions({ login }) {
        const [user] = await admin.ask<[{ id: string }]>(
          'GET',
          `/${REALM}/users?username=${login}&exact=true`,
        )
        await admin.ask('POST', `/${REALM}/users/${user.id}/logout`)
      },
      stop: () => server.kill(),
    }
  }
}
