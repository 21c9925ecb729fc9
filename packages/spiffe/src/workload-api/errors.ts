/** Reports a response that violates the Workload API standard. */
export class MalformedResponseError extends Error {
  readonly code = 'malformed_response'

  constructor(message: string, options?: ErrorOptions) {
    super(`workloadapi: ${message}`, options)
    this.name = 'MalformedResponseError'
  }
}
