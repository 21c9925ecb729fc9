import { describe } from '@jest/globals'
import { hasMoto, hasSoftHsm } from './peers.ts'

/** Returns `describe` if the condition holds. Otherwise skips and prints what is missing; with `CI=true` that is an error. */
function describeIf(condition: boolean, missing: string) {
  if (condition) return describe
  if (process.env.CI === 'true') throw new Error(`CI must run these tests: ${missing}.`)
  console.warn(`skipped: ${missing}`)
  return describe.skip
}

export const describeWithSoftHsm = () =>
  describeIf(
    hasSoftHsm(),
    'softhsm2 (apt-get install softhsm2) or pkcs11js (.ci/install-peers quick) is not installed',
  )

export const describeWithMoto = () =>
  describeIf(hasMoto(), 'moto or @aws-sdk/client-kms (.ci/install-peers quick) is not installed')
