import { brokenChains } from './broken-chains.ts'
import type { ChainCase } from './chain-case.ts'
import { constrainedChains, purposeChains } from './constrained-chains.ts'
import { goodChains } from './good-chains.ts'
import { malformedChains } from './malformed-chains.ts'
import { signatureChains } from './signature-chains.ts'

/** All chains for comparing the readers. */
export const chains: readonly ChainCase[] = [
  ...goodChains(),
  ...signatureChains(),
  ...brokenChains(),
  ...constrainedChains(),
  ...purposeChains(),
  ...malformedChains(),
]
