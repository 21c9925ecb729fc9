/** A process of the suite, seen from outside: an Express service and a plain HTTP/2 gateway look the same. */
export interface Service {
  readonly name: string
  /** Resolves, once every listener accepts connections, with the URL of each listener by its name. */
  start(): Promise<Readonly<Record<string, string>>>
  /**
   * Readiness falls first; after the delay the listeners close, requests in flight end, and clients are asked to leave
   * their connections. Safe to call twice.
   * @param drainDelayMs for a balancer to notice; none where nobody balances, as in a test.
   */
  stop(drainDelayMs?: number): Promise<void>
}
