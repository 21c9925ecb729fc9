import { readFile } from 'node:fs/promises'
import { privateKeyJwt } from '@hallpass/callers'
import { createJwtFactoryClient } from '@hallpass/jwt-factory/client'
import { importSigningKey } from '@hallpass/tokens'
import { setUp } from './setup.ts'

const HELP = `setup FOLDER                          make certificates, keys and trust for the services
provision                             make the keys of the services at jwt-factory, and service A's own
token AUDIENCE [SCOPE] [SUBJECT]      print a token of the operator`

const FACTORY = 'http://jwt-factory:5555'
/** Its name in the tokens: http, as its keys are fetched so, within the network of the containers. */
const FACTORY_ISSUER = 'http://jwt-factory:5555/'
const SERVICE_A = 'http://service-a:3000'

/** What an operator of the containers does: `docker-compose run --rm -T --no-deps operator token https://api.example.com`. */
async function main([command, ...args]: readonly string[]): Promise<void> {
  switch (command) {
    case 'setup':
      return setUp(args[0] ?? '/setup')
    case 'provision':
      return provision()
    case 'token': {
      const [aud = '', scope, sub] = args
      const factory = createJwtFactoryClient({
        baseUrl: FACTORY,
        authorization: proofFor(FACTORY_ISSUER),
      })
      console.log(
        await factory.issueToken('operator', { aud, ...(scope ? { scope } : {}), ...(sub ? { sub } : {}) }),
      )
      return
    }
    default:
      throw new Error(`one of:\n${HELP}`)
  }
}

/** The steps that the documented curl commands take before the first scenario, here by somebody who may. */
async function provision() {
  for (const keyId of ['servicea', 'serviceb', 'token-cache-auth', 'operator'])
    await call(`${FACTORY}/keys/${keyId}`, 'GET', proofFor(FACTORY_ISSUER))
  await call(`${FACTORY}/utils/dump`, 'POST', proofFor(FACTORY_ISSUER))
  await call(`${SERVICE_A}/gen-keys`, 'POST', proofFor('servicea'))
}

const proofFor = (audience: string) =>
  privateKeyJwt({
    clientId: 'operator',
    audience,
    key: async () => importSigningKey(await readFile('/state/caller-key.pem', 'utf8'), { alg: 'ES256' }),
  })

async function call(url: string, method: string, authorization: () => Promise<string>) {
  const response = await fetch(url, { method, headers: { authorization: await authorization() } })
  if (!response.ok) throw new Error(`${method} ${url} answered ${response.status}: ${await response.text()}`)
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error.message)
  process.exit(1)
})
