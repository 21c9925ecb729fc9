import { readConfig } from '@hallpass/service-kit'
import { signToken } from '@hallpass/tokens'
import { openSigners, signersConfig } from '../index.ts'

/** Opens what the environment configures, and prints where a new key is and a token that it signed. */
const config = readConfig(process.env, (variables) =>
  signersConfig(variables, { stateFolder: '.', isShared: false }),
)
const signers = await openSigners(config)
const { key, reference } = await signers.create('ES256', 'servicea')
console.log(reference)
console.log(await signToken({}, key, { lifetimeSeconds: 60 }))
await signers.close()
