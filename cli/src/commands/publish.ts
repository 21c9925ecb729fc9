import { PeerError } from '@hallpass/service-kit/peers'
import { checkObjects, PublishError, publishOverHttp, publishOverTcp } from '@hallpass/sse-server/client'
import { type Command, InvalidArgumentError } from 'commander'
import { connectionFailure } from '../connection-failure.ts'
import { readAuthority } from '../credentials/index.ts'
import { CommandFailure, EXIT } from '../failure.ts'
import { argumentOrStdin, parseHttpUrl, parseTcpUrl, parseToken, type Terminal } from '../terminal/index.ts'

interface PublishOptions {
  readonly data?: string
  readonly topic?: string
  readonly to?: string
  readonly http?: string | true
  readonly token?: string
  readonly ca?: string
}

const EXAMPLES = `
  hallpass publish '{"data":"Hello, world"}'
  hallpass publish --data Hello                            the same as {"data":"Hello"}
  hallpass publish --data shipped --topic orders/7
  hallpass publish '{"name":"news","id":"7","topic":"sport","data":{"goal":1}}'
  echo '{"data":"one"}{"data":"two"}' | hallpass publish -
  hallpass publish --http --data Hello                     prints the id of each event
  hallpass publish --http https://localhost:7143 --token "$JWT_TOKEN" --data shipped --topic orders/7    through the gateway`

export function addPublish(program: Command, terminal: Terminal): Command {
  return program
    .command('publish')
    .description('Send an event to the SSE server, over TCP or HTTP.')
    .argument('[event]', 'a JSON object, or - for objects from standard input')
    .option('--data <text>', 'the data of the event, in place of an object')
    .option('--topic <topic>', 'the topic of the event with --data')
    .option('--to <url>', 'publish over TCP to this address (default: tcp://localhost:7001)', parseTcpUrl)
    .option('--http [url]', 'publish over HTTP to this URL (default: http://localhost:8001)', parseBaseUrl)
    .option(
      '--token <token>',
      'token to send, with the scope publish, if the server requires one',
      parseToken,
    )
    .option('--ca <file>', 'PEM file of the CA to trust (default: the development CA of the state folder)')
    .addHelpText('after', EXAMPLES)
    .action(async (event: string | undefined, options: PublishOptions) => {
      const { data, topic, to, http, token, ca } = options
      if (http !== undefined && to !== undefined)
        throw new CommandFailure('--to is for TCP and --http is for HTTP. Give only one of them.', EXIT.usage)
      const baseUrl = http === true ? 'http://localhost:8001' : http
      const isTls = baseUrl?.startsWith('https:') === true
      if (ca !== undefined && !isTls)
        throw new CommandFailure(
          '--ca requires --http with an https URL: only that connection uses TLS.',
          EXIT.usage,
        )
      if (topic !== undefined && data === undefined)
        throw new CommandFailure(
          '--topic is for --data. Put the topic of an event into its object.',
          EXIT.usage,
        )
      const text = await objectsOf(event, { data, topic }, terminal)
      const url = baseUrl ?? to ?? 'tcp://localhost:7001'
      try {
        checkObjects(text)
        if (baseUrl === undefined) return await publishOverTcp({ url, objects: text, token })
        const authority = isTls ? await readAuthority(ca, terminal) : undefined
        const ids = await publishOverHttp({ baseUrl, objects: text, token, ca: authority })
        for (const id of ids) terminal.print(id)
      } catch (error) {
        if (error instanceof PeerError) throw connectionFailure(url, error)
        if (!(error instanceof PublishError)) throw error
        throw new CommandFailure(error.message, error.code === 'invalid' ? EXIT.usage : EXIT.failed)
      }
    })
}

/** Parses the optional URL of `--http`. An event after `--http` would be taken for the URL. */
function parseBaseUrl(text: string): string {
  if (text === '-' || /^\s*\{/.test(text))
    throw new InvalidArgumentError("Put the event first: hallpass publish '{…}' --http")
  return parseHttpUrl(text)
}

/** Returns the JSON objects to send. */
async function objectsOf(
  event: string | undefined,
  { data, topic }: { data: string | undefined; topic: string | undefined },
  terminal: Terminal,
): Promise<string> {
  if ((event === undefined) === (data === undefined))
    throw new CommandFailure('Give either an event as a JSON object or --data with its text.', EXIT.usage)
  if (event === undefined) return JSON.stringify({ data, topic })
  const text = await argumentOrStdin(event, 'an event', terminal)
  if (event === '-' || /^\s*\{/.test(text)) return text
  throw new CommandFailure('An event must be a JSON object, such as {"data":"Hello"}.', EXIT.usage, [
    `To send this as text: hallpass publish --data ${quoted(text)}`,
  ])
}

/** Quotes a string for a shell. */
const quoted = (text: string) =>
  /^[\w.,:-]+$/.test(text) ? text : `'${text.slice(0, 60).replaceAll("'", `'\\''`)}'`
