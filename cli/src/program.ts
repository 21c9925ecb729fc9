import { Command } from 'commander'
import { addDoctor } from './commands/doctor.ts'
import { addLintPolicies } from './commands/lint-policies.ts'
import { addListen } from './commands/listen.ts'
import { addPublish } from './commands/publish.ts'
import { addScenario } from './commands/scenario.ts'
import { addSpiffe } from './commands/spiffe.ts'
import { addToken } from './commands/token.ts'
import { addTokenDecode } from './commands/token-decode.ts'
import type { Terminal } from './terminal.ts'

/** The whole command line; each command is in a file of its name. */
export function createProgram(terminal: Terminal): Command {
  const program = new Command('hallpass')
    .description(
      'JWTs between services: make and read tokens, publish, listen, run the scenarios, find what is wrong.',
    )
    .version('0.1.0')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.print(text.trimEnd()),
      writeErr: (text) => terminal.note(text.trimEnd()),
      outputError: (text, write) => write(text.replace(/^error: /, 'hallpass: ')),
    })
    .showHelpAfterError('Try --help.')
    .helpCommand(false)
  const token = addToken(program, terminal)
  addTokenDecode(token, terminal)
  addPublish(program, terminal)
  addListen(program, terminal)
  addScenario(program, terminal)
  addSpiffe(program, terminal)
  addDoctor(program, terminal)
  addLintPolicies(program, terminal)
  return program
}
