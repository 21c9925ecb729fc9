/** An answer of the Workload API that breaks its rules. */
export class MalformedResponseError extends Error {
  readonly code = 'malformed_response'

  constructor(message: string, options?: ErrorOptions) {
    super(`workloadapi: ${message}`, options)
    this.name = 'MalformedResponseError'
  }
}
