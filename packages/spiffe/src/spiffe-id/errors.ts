/** The messages of other SPIFFE libraries, which operators know. */
const MESSAGES = {
  empty: 'cannot be empty',
  wrong_scheme: 'scheme is missing or invalid',
  missing_trust_domain: 'trust domain is missing',
  bad_trust_domain_character:
    'trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores',
  trust_domain_too_long: 'trust domain is limited to 255 bytes',
  bad_path_character:
    'path segment characters are limited to letters, numbers, dots, dashes, and underscores',
  empty_segment: 'path cannot contain empty segments',
  dot_segment: 'path cannot contain dot segments',
  trailing_slash: 'path cannot have a trailing slash',
  no_leading_slash: 'path must have a leading slash',
  too_long: 'a SPIFFE ID is limited to 2048 bytes',
} as const

export type SpiffeIdErrorCode = keyof typeof MESSAGES

/** Reports an invalid SPIFFE ID, trust domain or path; `code` is stable. */
export class SpiffeIdError extends Error {
  readonly code: SpiffeIdErrorCode

  constructor(code: SpiffeIdErrorCode) {
    super(MESSAGES[code])
    this.name = 'SpiffeIdError'
    this.code = code
  }
}
