import { type CalleeConfig, createCallee } from '@hallpass/callee'
import { createJwtFactoryClient } from '@hallpass/jwt-factory/client'
import { serviceA } from '@hallpass/service-a/client'
import type { Clock, Logger } from '@hallpass/service-kit'

export { loadConfig } from './config.ts'

/** Creates a callee of service A; the code that it shares with service C is in `@hallpass/callee`. */
export const createApp = (config: CalleeConfig, log: Logger, clock?: Clock) =>
  createCallee(
    { name: 'service-b', caller: serviceA, issuerClient: createJwtFactoryClient },
    config,
    log,
    clock,
  )
