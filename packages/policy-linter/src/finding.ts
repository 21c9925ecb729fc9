/** The README of this package explains each code. */
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

/** A mistake that a cluster accepts: a policy that does not do what it seems to do. */
export interface Finding {
  readonly code: FindingCode
  readonly file: string
  /** 1-based. */
  readonly line: number
  readonly reason: string
  readonly fix: string
}

export const describeFinding = ({ file, line, code, reason, fix }: Finding): string =>
  `${file}:${line} ${code}: ${reason}\n    fix: ${fix}`
