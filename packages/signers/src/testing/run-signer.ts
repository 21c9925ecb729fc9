import { signToken } from '@hallpass/tokens'
import { openSigners } from '../index.ts'

/** Opens a key in a process of its own and prints a token that it signed. */
const { config, reference, alg, kid } = JSON.parse(process.argv[2] as string)
const signers = await openSigners(config)
const key = await signers.open(reference, alg, kid)
console.log(await signToken({ sub: 'a' }, key, { lifetimeSeconds: 60 }))
await signers.close()
