import { readFile } from 'node:fs/promises'
import { privateKeyJwt } from '@hallpass/callers'
import { createJwtFactoryClient } from '@hallpass/jwt-factory/client'
import { importSigningKey } from '@hallpass/tokens'
import { setUp } from './setup.ts'

const HELP = `setup FOLDER                          make certificates, keys and trusted-callers files for the services
provision                             make the services' keys at jwt-factory, and service A's own key
token AUDIENCE [SCOPE] [SUBJECT]      print a token issued to the operator`

const FACTORY = 'https://jwt-factory:5443'
const FACTORY_ISSUER = 'https://jwt-factory:5443/'
const SERVICE_A = 'https://service-a:3443'

/** Runs the operator's commands: `docker-compose run --rm -T --no-deps operator token https://api.example.com`. */
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
        authorization: assertionFor(FACTORY_ISSUER),
      })
      console.log(
        await factory.issueToken('operator', { aud, ...(scope ? { scope } : {}), ...(sub ? { sub } : {}) }),
      )
      return
    }
    default:
      throw new Error(`Unknown command. Use one of:\n${HELP}`)
  }
}

/** Creates the keys that scenarios 1 to 4 need, as the documented curl commands do, authenticated as the operator. */
async function provision() {
  for (const keyId of ['servicea', 'serviceb', 'token-cache-auth', 'operator'])
    await call(`${FACTORY}/keys/${keyId}`, 'GET', assertionFor(FACTORY_ISSUER))
  await call(`${FACTORY}/utils/dump`, 'POST', assertionFor(FACTORY_ISSUER))
  await call(`${SERVICE_A}/gen-keys`, 'POST', assertionFor('servicea'))
}

const assertionFor = (audience: string) =>
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
