import { Command } from 'commander'
import { addDoctor } from './commands/doctor.ts'
import { addHelp } from './commands/help.ts'
import { addLintPolicies } from './commands/lint-policies.ts'
import { addListen } from './commands/listen.ts'
import { addPublish } from './commands/publish.ts'
import { addScenario } from './commands/scenario.ts'
import { addService } from './commands/service.ts'
import { addSpiffe } from './commands/spiffe.ts'
import { addToken } from './commands/token.ts'
import { addTokenDecode } from './commands/token-decode.ts'
import { addTokenEncode } from './commands/token-encode.ts'
import { CommandFailure, EXIT } from './failure.ts'
import type { Terminal } from './terminal.ts'

/** The whole command line; each command is in a file of its name. */
export function createProgram(terminal: Terminal): Command {
  const lines = (write: (line: string) => void) => (text: string) => {
    for (const line of text.trimEnd().split('\n')) write(line)
  }
  const program = new Command('hallpass')
    .description(
      'JWTs between services: make and read tokens, publish, listen, run the scenarios, find what is wrong.',
    )
    .version('0.1.0')
    .exitOverride()
    // `token` and `token encode` have options of the same names; each takes those behind its own name.
    .enablePositionalOptions()
    .configureOutput({
      writeOut: lines(terminal.print),
      writeErr: lines(terminal.note),
      outputError: (text, write) => write(text.replace(/^error: /, 'hallpass: ')),
    })
    .showHelpAfterError('Try --help.')
    .helpCommand(false)
    .hook('preAction', (_program, command) => refuseEmpty(command))
  const token = addToken(program, terminal)
  addTokenDecode(token, terminal)
  addTokenEncode(token, terminal)
  addPublish(program, terminal)
  addListen(program, terminal)
  addScenario(program, terminal)
  addService(program, terminal)
  addSpiffe(program, terminal)
  addDoctor(program, terminal)
  addLintPolicies(program, terminal)
  addHelp(program)
  return program
}

/** An empty value is a variable of a script that was not set, and means nothing to any command. */
function refuseEmpty(command: Command) {
  command.registeredArguments.forEach((argument, index) => {
    if (isEmpty(command.processedArgs[index]))
      throw new CommandFailure(`The argument ${argument.name()} is empty.`, EXIT.usage, ['Try --help.'])
  })
  for (const option of command.options)
    if (isEmpty(command.getOptionValue(option.attributeName())))
      throw new CommandFailure(`The option ${option.long} is empty.`, EXIT.usage, ['Try --help.'])
}

const isEmpty = (value: unknown): boolean =>
  value === '' || (Array.isArray(value) && value.some((item) => item === ''))
