import { EXIT_CODES, run } from '@hallpass/service-kit'
import { HELP, readCommandLine, UsageError } from './admin/index.ts'
import { createApp } from './app.ts'
import { loadConfig } from './config.ts'

const fail = (error: unknown) => {
  process.stderr.write(`spiffe-agent: ${(error as Error).message.trimEnd()}\n`)
  process.exitCode = error instanceof UsageError ? EXIT_CODES.usage : EXIT_CODES.failed
}

try {
  const command = readCommandLine(process.argv.slice(2))
  if ('help' in command) process.stdout.write(HELP)
  else if ('verb' in command)
    // Loaded only for commands: the HTTP client takes 6 MB, and the agent itself does not use it.
    import('./admin/verbs.ts')
      .then(({ runVerb }) => runVerb(command.verb, loadConfig(process.env).adminSocket))
      .then((text) => process.stdout.write(text), fail)
  else run('spiffe-agent', { ...process.env, ...command.env }, loadConfig, createApp)
} catch (error) {
  fail(error)
}
