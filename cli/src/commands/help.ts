import type { Command } from 'commander'
import { CommandFailure, EXIT } from '../failure.ts'

/** `hallpass help token decode`: the same as `hallpass token decode --help`. */
export function addHelp(program: Command): Command {
  return program
    .command('help')
    .description('Show the help of a command.')
    .argument('[command...]', 'the command, for example: token decode')
    .action((words: string[]) => {
      let command = program
      for (const word of words) {
        const next = command.commands.find((one) => one.name() === word)
        if (!next)
          throw new CommandFailure(`Unknown command '${words.join(' ')}'.`, EXIT.usage, [
            `Try one of: ${command.commands.map((one) => one.name()).join(', ')}`,
          ])
        command = next
      }
      command.outputHelp()
    })
}
