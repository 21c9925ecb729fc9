import type { Page } from 'playwright-core'

/** Environment variables, exactly as the provider's page in docs/providers documents them. */
export type Settings = Readonly<Record<string, string>>

/** A user of the provider, with its name as the web UI shows it. */
export interface ProviderUser {
  readonly login: string
  readonly password: string
  readonly name: string
}

/** The parts of the journey that need more than a login. */
export type Capability =
  | 'name'
  | 'JWT access tokens'
  | 'access tokens unlike ID tokens'
  | 'scopes per user'
  | 'refresh'
  | 'key rotation'
  | 'logout'
  | 'sessions'
  | 'parallel logins'
  | 'back-channel logout'

/** What a provider must register for the web UI. */
export interface Registration {
  /** The URL of the web UI in browsers. */
  readonly webUiUrl: string
  readonly redirectUri: string
  readonly postLogoutRedirectUri: string
  readonly backChannelLogoutUri: string
  /**
   * The port on which browsers and services reach the provider: it is part of its issuer. A forwarder of the journey listens
   * on it, so that the provider can become unavailable without a restart.
   */
  readonly publicPort: number
  /** The free port on which the provider itself listens. */
  readonly port: number
}

/** A provider of the journey, before its start. */
export interface Provider {
  readonly name: string
  /** What it does not have, with the reason. These parts of the journey are skipped, and the reason is printed. */
  readonly lacks: Readonly<Partial<Record<Capability, string>>>
  start(registration: Registration): Promise<RunningProvider>
}

export interface RunningProvider {
  /** The exact `iss` of its tokens. */
  readonly issuer: string
  /** The documented settings of the web UI, without those that name addresses of the suite (`BASE_URL`, backends). */
  readonly webUi: Settings
  /** The documented settings of both backends, without `ENDPOINT` and `REQUIRED_SCOPES`. */
  readonly backend: Settings
  /**
   * The lifetime of its access tokens, as the tests configure it: 8 is long enough for a page on a busy machine, and short
   * enough to wait for its renewal.
   */
  readonly accessTokenSeconds: number
  readonly users: {
    /** May call both backends: `read:data` and `read:data2`. */
    readonly both: ProviderUser
    /** May call only the first: `read:data`. */
    readonly onlyData: ProviderUser
  }
  /** Logs in on the provider's page, which the browser shows. Returns after the form is sent. */
  logIn(page: Page, user: ProviderUser): Promise<void>
  /** Waits until the browser shows the provider's login form: the provider has no session of this browser. */
  showsLogin(page: Page): Promise<void>
  /** Signs new tokens with a new key from now on. The old key stays published, unless the provider cannot do that. */
  rotateKeys?(): Promise<void>
  /** Ends the sessions of a user at the provider, as an administrator does, or the user elsewhere. */
  endSessions?(user: ProviderUser, page: Page): Promise<void>
  stop(): Promise<void>
}
