import { createLauncherClient, type LaunchedService, launcherSocketOf } from '@hallpass/service-kit/launcher'
import { PeerError } from '@hallpass/service-kit/peers'
import type { Command } from 'commander'
import { CommandFailure, EXIT } from '../failure.ts'
import { stateFolder } from '../state-folder.ts'
import { printJson, type Terminal } from '../terminal/index.ts'

const EXAMPLES = `
Controls the suite that "npm start" runs in the state folder.

  hallpass service list
  hallpass service stop jwt-factory      see what its callers do without it
  hallpass service start jwt-factory`

const COLOURS = {
  running: 'green',
  'not answering': 'red',
  starting: 'yellow',
  restarting: 'yellow',
  stopping: 'yellow',
  stopped: 'yellow',
  failed: 'red',
} as const

/** Adds `hallpass service`, which controls single services of the running suite. */
export function addService(program: Command, terminal: Terminal): Command {
  const { print, style } = terminal
  const service = program
    .command('service')
    .description('List, stop, start and restart services of the running suite.')
    .addHelpText('after', EXAMPLES)

  service
    .command('list')
    .description('List the services with their states and URLs.')
    .option('--json', 'print JSON')
    .action(({ json }: { json?: boolean }) =>
      ask(terminal, async (launcher) => {
        const suite = await launcher.suite()
        if (json) return printJson(terminal, JSON.stringify(suite, null, 2))
        const width = Math.max(...suite.services.map(({ name }) => name.length))
        const stateWidth = Math.max(10, ...suite.services.map(({ state }) => state.length))
        for (const { name, state, urls, restarts, lastEnd } of suite.services) {
          const again = restarts > 0 ? `  restarted ${restarts} ${restarts === 1 ? 'time' : 'times'}` : ''
          print(
            `${name.padEnd(width)}  ${style(COLOURS[state], state.padEnd(stateWidth))}  ${urls.join(' ')}${again}`,
          )
          if (lastEnd !== undefined && state !== 'running') print(`${' '.repeat(width)}  ${lastEnd}`)
        }
      }),
    )

  const verb = (name: 'stop' | 'start' | 'restart', description: string, past: string) =>
    service
      .command(name)
      .description(description)
      .argument('<name...>', 'names of services, as in the list')
      .action((names: string[]) =>
        ask(terminal, async (launcher) => {
          const { services } = await launcher.suite()
          requireKnown(names, services)
          for (const one of names) {
            if (name !== 'start') await launcher.stop(one)
            if (name !== 'stop') await launcher.start(one)
            print(`${past} ${one}`)
          }
        }),
      )
  verb('stop', 'Stop a service. It stays stopped until you start it; the others keep running.', 'stopped')
  verb('start', 'Start a service that is not running, and wait until it is ready.', 'started')
  verb('restart', 'Stop a service, start it again, and wait until it is ready.', 'restarted')
  return service
}

function requireKnown(names: readonly string[], services: readonly LaunchedService[]) {
  const unknown = names.filter((name) => !services.some((service) => service.name === name))
  if (unknown.length > 0)
    throw new CommandFailure(
      `Service not found: ${unknown.join(', ')}. The services are: ${services.map(({ name }) => name).join(', ')}`,
      EXIT.usage,
    )
}

async function ask(
  terminal: Terminal,
  call: (launcher: ReturnType<typeof createLauncherClient>) => Promise<void>,
): Promise<void> {
  const folder = stateFolder(terminal)
  try {
    await call(createLauncherClient(launcherSocketOf(folder)))
  } catch (error) {
    if (!(error instanceof PeerError)) throw error
    if (error.code === 'peer_unreachable')
      throw new CommandFailure(`No suite is running in ${folder}. Start it with: npm start`, EXIT.unreachable)
    if (error.code === 'peer_timeout') throw new CommandFailure(error.message, EXIT.unreachable)
    // The launcher's own message is complete.
    throw new CommandFailure(error.message.replace(/^launcher answered \d+: /, ''))
  }
}
