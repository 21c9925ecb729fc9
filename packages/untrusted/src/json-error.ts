export type JsonErrorCode = 'malformed_json' | 'json_too_deep' | 'duplicate_member' | 'inexact_number'

/** Why a text is not taken as JSON. The message names the member, and quotes no more than a few characters of it. */
export class JsonError extends Error {
  override readonly name = 'JsonError'
  readonly code: JsonErrorCode

  constructor(code: JsonErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
