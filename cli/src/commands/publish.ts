import { PublishError, publishOverHttp, publishOverTcp } from '@hallpass/sse-server/client'
import type { Command } from 'commander'
import { argumentOrStdin, parseHttpUrl, parseTcpUrl, parseToken } from '../arguments.ts'
import { CommandFailure, EXIT } from '../failure.ts'
import type { Terminal } from '../terminal.ts'

interface PublishOptions {
  readonly data?: string
  readonly to: string
  readonly http?: string | true
  readonly token?: string
}

const EXAMPLES = `
  hallpass publish '{"data":"Hello, world"}'
  hallpass publish --data Hello                            the same as {"data":"Hello"}
  hallpass publish '{"name":"news","id":"7","topic":"sport","data":{"goal":1}}'
  echo '{"data":"one"}{"data":"two"}' | hallpass publish -
  hallpass publish --http --data Hello                     prints the id of the event`

export function addPublish(program: Command, terminal: Terminal): Command {
  return program
    .command('publish')
    .description('Send an event to the SSE server, over TCP or HTTP.')
    .argument('[event]', 'a JSON object, or - for objects from standard input')
    .option('--data <text>', 'in place of an object: an event with this text')
    .option('--to <url>', 'the TCP port', parseTcpUrl, 'tcp://localhost:7001')
    .option('--http [url]', 'over HTTP instead (default: http://localhost:8001)', parseHttpUrl)
    .option('--token <token>', 'a token with the scope publish, where the server asks for one', parseToken)
    .addHelpText('after', EXAMPLES)
    .action(async (event: string | undefined, { data, to, http, token }: PublishOptions) => {
      const text = await objectsOf(event, data, terminal)
      try {
        if (http === undefined) await publishOverTcp({ url: to, objects: text, token })
        else
          terminal.print(
            await publishOverHttp({
              baseUrl: http === true ? 'http://localhost:8001' : http,
              object: text,
              token,
            }),
          )
      } catch (error) {
        if (!(error instanceof PublishError)) throw error
        throw new CommandFailure(error.message, error.code === 'unreachable' ? EXIT.unreachable : EXIT.failed)
      }
    })
}

/** What is to be sent, as text: whether it is a good publication is the server's to say. */
async function objectsOf(
  event: string | undefined,
  data: string | undefined,
  terminal: Terminal,
): Promise<string> {
  if ((event === undefined) === (data === undefined))
    throw new CommandFailure(
      'Give one of both: an event as a JSON object, or --data with its text.',
      EXIT.usage,
    )
  if (event === undefined) return JSON.stringify({ data })
  const text = await argumentOrStdin(event, 'an event', terminal)
  if (event === '-' || /^\s*\{/.test(text)) return text
  throw new CommandFailure('An event is a JSON object, such as {"data":"Hello"}.', EXIT.usage, [
    `To send this as text: hallpass publish --data ${quoted(text)}`,
  ])
}

/** As a shell takes it. */
const quoted = (text: string) =>
  /^[\w.,:-]+$/.test(text) ? text : `'${text.slice(0, 60).replaceAll("'", `'\\''`)}'`
