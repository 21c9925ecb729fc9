/** A process of the suite: the launcher and tests treat an Express service and an HTTP/2 gateway alike. */
export interface Service {
  readonly name: string
  /** Starts every listener and resolves with their URLs by name once all accept connections. */
  start(): Promise<Readonly<Record<string, string>>>
  /**
   * Stops the service: `/readyz` fails immediately; after the delay the listeners close, requests in flight end, and
   * clients are asked to leave their connections. Safe to call twice.
   * @param drainDelayMs time for a load balancer to notice. Without it (unlike with 0) clients get no time to leave their
   *   connections: for tests and failed starts
   */
  stop(drainDelayMs?: number): Promise<void>
}
