import { PublishError, publishOverHttp, publishOverTcp } from '@hallpass/sse-server/client'
import type { Command } from 'commander'
import { CommandFailure, EXIT } from '../failure.ts'
import { readStdin, type Terminal } from '../terminal.ts'

interface PublishOptions {
  readonly to: string
  readonly http?: string | true
  readonly token?: string
}

const EXAMPLES = `
  hallpass publish '{"data":"Hello, world"}'
  hallpass publish Hello                                   the same as {"data":"Hello"}
  hallpass publish '{"name":"news","id":"7","topic":"sport","data":{"goal":1}}'
  echo '{"data":"one"}{"data":"two"}' | hallpass publish -
  hallpass publish --http Hello                            prints the id of the event`

export function addPublish(program: Command, terminal: Terminal): Command {
  return program
    .command('publish')
    .description('Send an event to the SSE server, over TCP or HTTP.')
    .argument('<event>', 'a JSON object, a text, or - for objects from standard input')
    .option('--to <url>', 'the TCP port', 'tcp://localhost:7001')
    .option('--http [url]', 'over HTTP instead (default: http://localhost:8001)')
    .option('--token <token>', 'a token with the scope publish, where the server asks for one')
    .addHelpText('after', EXAMPLES)
    .action(async (event: string, { to, http, token }: PublishOptions) => {
      const text =
        event === '-'
          ? await readStdin(terminal)
          : /^\s*\{/.test(event)
            ? event
            : JSON.stringify({ data: event })
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
