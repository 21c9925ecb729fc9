/** A process of the suite, seen from outside: an Express service and a plain HTTP/2 gateway look the same. */
export interface Service {
  readonly name: string
  /** Resolves, once every listener accepts connections, with the URL of each listener by its name. */
  start(): Promise<Readonly<Record<string, string>>>
  /** Readiness falls first, requests in flight end, then the listeners close. Safe to call twice. */
  stop(): Promise<void>
}
