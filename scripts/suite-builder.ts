/** A process of the suite, as everything that starts, lists or compares it reads it. */
export interface SuiteProcess {
  readonly name: string
  /** The workspace folder, e.g. `token-cache/proxy`. */
  readonly folder: string
  /** What a reader of the start table learns from it. */
  readonly shows: string
  readonly env: Readonly<Record<string, string>>
  /** URL of each listener by the variable that sets its port. */
  readonly urls: Readonly<Record<string, string>>
  /** Where `/readyz` answers. */
  readonly readyz: string
  /** The services without which some of what it does fails. */
  readonly needs: readonly string[]
}

export interface Wiring {
  /** The port to use for a documented one: itself for `npm start`, a free one in a test. */
  readonly port: (documented: number) => number
  /** Absolute path. */
  readonly stateFolder: string
}

/** `https:8443` is a port that speaks TLS; the variable it stands under tells the service to listen there. */
type Ports = Readonly<Record<string, `http:${number}` | `https:${number}` | `tcp:${number}`>>

/** Where a service listens, as others refer to it. */
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

/** A listener, or a service that stands for its `PORT`; a list becomes URLs with commas between. */
type Reference = Listener | { readonly PORT: Listener }
type References = Readonly<Record<string, Reference | readonly Reference[]>>

interface Definition<P extends Ports> {
  readonly name: string
  /** The workspace folder, where it differs from the name. */
  readonly folder?: string
  readonly shows: string
  readonly ports: P
  /** The URLs of the services that it calls and therefore needs, by the variable that holds each. */
  readonly calls?: References
  /** Services that it reaches through the state folder, so that no variable names them. */
  readonly alsoNeeds?: readonly { readonly name: string }[]
  /** Everything else that it is configured with. */
  readonly env?: Readonly<Record<string, string>>
}

/** A service of the suite, with a {@link Listener} by the name of each of its ports. */
export type Service<P extends Ports = Ports> = { readonly [Variable in keyof P]: Listener } & {
  readonly name: string
  /** Adds URLs that it must have without calling them, or that it can do without: no need follows from them. */
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

  /** Adds URLs that every service must have, and that it can do without. */
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

/** Over plain HTTP where a service has a listener for it: then asking needs no certificate. */
function readyzOf(urls: Readonly<Record<string, string>>): string {
  const base = ['http:', 'https:'].flatMap((scheme) =>
    Object.values(urls).filter((url) => url.startsWith(scheme)),
  )[0]
  return `${base}/readyz`
}
