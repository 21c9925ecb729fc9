/** A process of the suite. */
export interface SuiteProcess {
  readonly name: string
  /** The workspace folder, e.g. `token-cache/proxy`. */
  readonly folder: string
  /** Its description in the table of `npm start` and in the explorer. */
  readonly shows: string
  readonly env: Readonly<Record<string, string>>
  /** URL of each listener by the variable that sets its port. */
  readonly urls: Readonly<Record<string, string>>
  /** The URL of its `/readyz`. */
  readonly readyz: string
  /** The services that it needs to work completely. */
  readonly needs: readonly string[]
}

export interface Wiring {
  /** Maps a documented port to the one to use: the same for `npm start`, a free one in tests. */
  readonly port: (documented: number) => number
  /** Absolute path. */
  readonly stateFolder: string
}

/** Ports by the variable that sets them; `https:8443` is a port with TLS. */
type Ports = Readonly<Record<string, `http:${number}` | `https:${number}` | `tcp:${number}`>>

/** A URL on which a service listens, for references from other services. */
export class Listener {
  /** The name of its service. */
  readonly service: string
  readonly url: string

  constructor(service: string, url: string) {
    this.service = service
    this.url = url
  }

  /** Returns a URL on this listener, e.g. `sseServer.HTTP_PORT.at('/events')`. */
  at(path: string): Listener {
    return new Listener(this.service, `${this.url}${path}`)
  }
}

/** A listener, or a service in place of its `PORT`. A list becomes comma-separated URLs. */
type Reference = Listener | { readonly PORT: Listener }
type References = Readonly<Record<string, Reference | readonly Reference[]>>

interface Definition<P extends Ports> {
  readonly name: string
  /** The workspace folder, if it differs from the name. */
  readonly folder?: string
  readonly shows: string
  readonly ports: P
  /** The services that it calls and therefore needs, by the variable of each URL. */
  readonly calls?: References
  /** Services that it needs but reaches through the state folder instead of a URL. */
  readonly alsoNeeds?: readonly { readonly name: string }[]
  /** Other variables of its configuration. */
  readonly env?: Readonly<Record<string, string>>
}

/** A service of the suite, with a {@link Listener} by the name of each of its ports. */
export type Service<P extends Ports = Ports> = { readonly [Variable in keyof P]: Listener } & {
  readonly name: string
  /** Adds URLs of services that it does not call, or does not require, so they are not in `needs`. */
  knows(references: References): void
}

/** Collects the services of a suite in the order in which they start. */
export class SuiteBuilder {
  readonly #wiring: Wiring
  readonly #services: { readonly process: SuiteProcess; readonly knows: (references: References) => void }[] =
    []

  constructor(wiring: Wiring) {
    this.#wiring = wiring
  }

  get processes(): SuiteProcess[] {
    return this.#services.map(({ process }) => process)
  }

  /** Adds URLs to the configuration of every service, without adding to `needs`. */
  allKnow(references: References): void {
    for (const { knows } of this.#services) knows(references)
  }

  add<const P extends Ports>(definition: Definition<P>): Service<P> {
    const { name, folder = name, shows, calls = {}, alsoNeeds = [] } = definition
    const env: Record<string, string> = { STATE_FOLDER: this.#wiring.stateFolder, ...definition.env }
    const listeners: Record<string, Listener> = {}
    for (const [variable, listener] of Object.entries(definition.ports)) {
      const [scheme, documented] = listener.split(':')
      const port = this.#wiring.port(Number(documented))
      env[variable] = String(port)
      listeners[variable] = new Listener(name, `${scheme}://localhost:${port}`)
    }
    const knows = (references: References) => void Object.assign(env, urlsOf(references))
    knows(calls)
    const urls = Object.fromEntries(Object.entries(listeners).map(([variable, { url }]) => [variable, url]))
    const needs = new Set([
      ...Object.values(calls).flatMap((reference) => listenersOf(reference).map(({ service }) => service)),
      ...alsoNeeds.map((service) => service.name),
    ])
    const process = { name, folder, shows, env, urls, readyz: readyzOf(urls), needs: [...needs] }
    this.#services.push({ process, knows })
    return Object.assign(listeners, { name, knows }) as unknown as Service<P>
  }
}

const listenersOf = (reference: Reference | readonly Reference[]): Listener[] =>
  [reference].flat().map((one) => (one instanceof Listener ? one : one.PORT))

const urlsOf = (references: References) =>
  Object.fromEntries(
    Object.entries(references).map(([variable, reference]) => [
      variable,
      listenersOf(reference)
        .map(({ url }) => url)
        .join(','),
    ]),
  )

/** Prefers plain HTTP, which needs no certificate. */
function readyzOf(urls: Readonly<Record<string, string>>): string {
  const base = ['http:', 'https:'].flatMap((scheme) =>
    Object.values(urls).filter((url) => url.startsWith(scheme)),
  )[0]
  return `${base}/readyz`
}
