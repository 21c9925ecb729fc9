export type JsonErrorCode = 'malformed_json' | 'json_too_deep' | 'duplicate_member' | 'inexact_number'

/** Thrown for JSON that is rejected. The message names the member and quotes at most a few characters of it. */
export class JsonError extends Error {
  override readonly name = 'JsonError'
  readonly code: JsonErrorCode

  constructor(code: JsonErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
