import { join } from 'node:path'
import type { Terminal } from './terminal.ts'

/** Where the suite keeps keys and certificates: `STATE_FOLDER`, or `.hallpass` of this repository, from wherever one calls. */
export function stateFolder({ env }: Terminal): string {
  return env.STATE_FOLDER || join(import.meta.dirname, '../../.hallpass')
}
