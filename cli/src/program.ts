import { Command } from 'commander'
import {
  addDoctor,
  addHelp,
  addLintPolicies,
  addListen,
  addPublish,
  addScenario,
  addService,
  addSpiffe,
  addToken,
  addTokenDecode,
  addTokenEncode,
} from './commands/index.ts'
import { CommandFailure, EXIT } from './failure.ts'
import type { Terminal } from './terminal/index.ts'

/** Creates the command line. Each command is in a file with its name. */
export function createProgram(terminal: Terminal): Command {
  const lines = (write: (line: string) => void) => (text: string) => {
    for (const line of text.trimEnd().split('\n')) write(line)
  }
  const program = new Command('hallpass')
    .description(
      'JWTs between services: make and decode tokens, publish and listen to events, run scenarios, find problems.',
    )
    .version('0.1.0')
    .exitOverride()
    // `token` and `token encode` have options with the same names; an option belongs to the command before it.
    .enablePositionalOptions()
    .configureOutput({
      writeOut: lines(terminal.print),
      writeErr: lines(terminal.note),
      // Commander quotes arguments; a line break in one must not start a new line.
      outputError: (text) => {
        const [, message = text, hint] = /^(.*?)(?:\n(\(Did you mean .*\)))?\n$/s.exec(text) ?? []
        terminal.note(`hallpass: ${sentence(message.replace(/^error: /, ''))}`)
        if (hint !== undefined) terminal.note(hint)
      },
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
  refuseRepeated(program)
  return program
}

/** Rewrites a message of Commander in the form of all others: a sentence that names the bad value. */
function sentence(message: string): string {
  const text = message
    .replace(/^command-argument value ('.*?') is invalid for argument '(.+?)'\./s, 'The $2 $1 is invalid.')
    .replace(/^option '.*?(--[\w-]+).*?' argument ('.*?') is invalid\./s, 'The value $2 of $1 is invalid.')
  return text.charAt(0).toUpperCase() + text.slice(1) + (text.endsWith('.') ? '' : '.')
}

/** A second value would silently replace the first; lists and flags may be repeated. */
function refuseRepeated(command: Command) {
  const given = new Map<string, string>()
  for (const option of command.options) {
    const isList = option.variadic || typeof option.defaultValue === 'object'
    const isFlag = !option.required && !option.optional
    const name = option.attributeName()
    if (!isList)
      command.on(`option:${option.name()}`, () => {
        const before = given.get(name)
        given.set(name, option.long ?? option.name())
        if (before === undefined || (isFlag && before === option.long)) return
        throw new CommandFailure(
          before === option.long
            ? `The option ${option.long} is given twice.`
            : `The options ${before} and ${option.long} contradict each other.`,
          EXIT.usage,
          ['Give it once. Try --help.'],
        )
      })
  }
  command.commands.forEach(refuseRepeated)
}

/** Rejects empty values: no command accepts one, and most come from an unset shell variable. */
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
