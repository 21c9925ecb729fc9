/** Each is explained in the README of this package. */
export type FindingCode =
  | 'unreadable'
  | 'malformed'
  | 'duplicate-key'
  | 'or-for-and'
  | 'token-not-demanded'
  | 'missing-audiences'
  | 'opaque-port'
  | 'waypoint-without-target-refs'
  | 'custom-with-source'

/** Something that a cluster would accept, and that does not mean what it seems to mean. */
export interface Finding {
  readonly code: FindingCode
  readonly file: string
  /** The first line of the file is 1. */
  readonly line: number
  readonly reason: string
  readonly fix: string
}

export const describeFinding = ({ file, line, code, reason, fix }: Finding): string =>
  `${file}:${line} ${code}: ${reason}\n    fix: ${fix}`
