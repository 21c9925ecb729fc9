import { SpiffeIdError } from './errors.ts'

const SEGMENT = /^[A-Za-z0-9._-]+$/

/**
 * Validates the path of a SPIFFE ID: empty, or segments that each follow a `/`, with no empty segments, no `.` or `..`, and no
 * trailing slash (SPIFFE-ID §2.2). Nothing is normalized or percent-decoded: two IDs are equal if and only if their bytes are.
 *
 * @throws SpiffeIdError
 */
export function validatePath(path: string): void {
  if (path === '') return
  if (!path.startsWith('/')) throw new SpiffeIdError('no_leading_slash')
  const segments = path.slice(1).split('/')
  for (const [index, segment] of segments.entries()) {
    if (segment === '')
      throw new SpiffeIdError(index === segments.length - 1 ? 'trailing_slash' : 'empty_segment')
    if (segment === '.' || segment === '..') throw new SpiffeIdError('dot_segment')
    if (!SEGMENT.test(segment)) throw new SpiffeIdError('bad_path_character')
  }
}

/**
 * Joins segments to a path: `joinPath('ns', 'prod')` returns `/ns/prod`.
 *
 * @throws SpiffeIdError
 */
export function joinPath(...segments: readonly string[]): string {
  for (const segment of segments) {
    if (segment === '') throw new SpiffeIdError('empty_segment')
    if (segment.includes('/')) throw new SpiffeIdError('bad_path_character')
  }
  const path = segments.map((segment) => `/${segment}`).join('')
  validatePath(path)
  return path
}
