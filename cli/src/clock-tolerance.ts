import { commonConfig, readConfig } from '@hallpass/service-kit'
import { CommandFailure, EXIT } from './failure.ts'
import type { Terminal } from './terminal/index.ts'

/**
 * Returns the clock skew to tolerate, in seconds; the services read the same variable.
 * @throws {CommandFailure} 2 if it is not valid
 */
export function clockTolerance({ env: { CLOCK_TOLERANCE_SECONDS } }: Pick<Terminal, 'env'>): number {
  try {
    return readConfig({ CLOCK_TOLERANCE_SECONDS }, commonConfig).clockToleranceSeconds
  } catch (error) {
    throw new CommandFailure((error as Error).message, EXIT.usage)
  }
}
