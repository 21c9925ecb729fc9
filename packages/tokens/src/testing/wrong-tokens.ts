import { Forge, type Row, type WrongToken, type WrongTokensOptions } from './forge.ts'
import { ofAnotherAlgorithm, signedWithThePublicKey, unsigned } from './wrong-algorithms.ts'
import { tooMuch, writtenSloppily } from './wrong-forms.ts'
import { bringingTheirKeys, ofAnotherKind, withCriticalHeaders } from './wrong-headers.ts'
import { forSomebodyElse, ofSomebodyElse } from './wrong-names.ts'
import { withABadSignature } from './wrong-signatures.ts'
import { atTheWrongTime, livingTooLong } from './wrong-times.ts'

/**
 * Makes every known kind of token that a verifier must reject. All except those about signatures and keys are correctly
 * signed with the verifier's trusted key.
 */
export function wrongTokens(options: WrongTokensOptions): WrongToken[] {
  const forge = new Forge(options)
  return [
    ...rows('AL-10', unsigned(forge)),
    ...rows('AL-11', signedWithThePublicKey(forge)),
    ...rows('AL-12', ofAnotherAlgorithm(forge)),
    ...rows('AL-13', livingTooLong(forge)),
    ...rows('AL-14', atTheWrongTime(forge)),
    ...rows('AL-15', withCriticalHeaders(forge)),
    ...rows('AL-16', ofAnotherKind(forge)),
    ...rows('AL-17', forSomebodyElse(forge)),
    ...rows('AL-18', ofSomebodyElse(forge)),
    ...rows('AL-19', bringingTheirKeys(forge)),
    ...rows('AL-22', writtenSloppily(forge)),
    ...rows('AL-22', withABadSignature(forge)),
    ...rows('AL-23', tooMuch(forge)),
  ]
}

const rows = (attack: string, of: readonly Row[]): WrongToken[] => of.map((row) => ({ attack, ...row }))
