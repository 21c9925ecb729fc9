/** A process of the suite: the launcher and tests treat an Express service and an HTTP/2 gateway alike. */
export interface Service {
  readonly name: string
  /** Starts every listener and resolves with their URLs by name once all accept connections. */
  start(): Promise<Readonly<Record<string, string>>>
  /**
   * Stops the service: `/readyz` fails immediately; after the delay the listeners close, requests in flight end, and
   * clients are asked to leave their connections. Safe to call twice.
   * @param drainDelayMs time for a load balancer to notice; by default none
   */
  stop(drainDelayMs?: number): Promise<void>
}
