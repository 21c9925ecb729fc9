/** The result of one check. */
export interface Finding {
  /** `note`: worth knowing, but not a problem. */
  readonly state: 'good' | 'note' | 'bad'
  readonly what: string
  /** How to fix it, as a command if possible. */
  readonly remedy?: string
}
