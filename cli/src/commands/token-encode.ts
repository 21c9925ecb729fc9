import type { Command } from 'commander'
import { chooseKey, mintToken } from '../credentials/index.ts'
import { CommandFailure, EXIT } from '../failure.ts'
import { argumentOrStdin, parseClaims, type Terminal } from '../terminal/index.ts'
import { addTokenOptions, claimsOf, refuseContradiction, type TokenOptions } from './token.ts'

const EXAMPLES = `
Signs the claims unchanged: unlike "hallpass token" it adds none, so services may reject the result. Without --secret it
uses the example key of the state folder. It cannot make unsigned tokens.

  hallpass token encode '{"sub":"example","exp":1795316400}'
  hallpass token encode '{"sub":"example"}' --exp 5m --alg ES256
  hallpass token encode --secret @private.pem --kid mine - < claims.json`

export function addTokenEncode(token: Command, terminal: Terminal): Command {
  const encode = token
    .command('encode')
    .description('Sign exactly the given claims and print the token.')
    .argument('[claims]', 'claims as a JSON object, or - to read it from standard input')
  return addTokenOptions(encode, {})
    .addHelpText('after', EXAMPLES)
    .action(async (given: string | undefined, options: TokenOptions, command: Command) => {
      const asked = { ...claimsOf(options, terminal.clock()), ...options.payload }
      if (given === undefined && Object.keys(asked).length === 0)
        throw new CommandFailure('Give claims as a JSON object: \'{"sub":"example"}\'.', EXIT.usage)
      const claims = given === undefined ? {} : parseClaims(await argumentOrStdin(given, 'claims', terminal))
      refuseContradiction(command, options, claims)
      const key = await chooseKey(options, terminal)
      terminal.print(await mintToken({ ...claims, ...asked }, key, options.typ))
    })
}
