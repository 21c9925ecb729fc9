import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describeFinding, type Finding, lintPolicies } from '@hallpass/policy-linter'
import type { Command } from 'commander'
import { CommandFailure } from '../failure.ts'
import { printJson, type Terminal } from '../terminal/index.ts'

const EXAMPLES = `
  hallpass lint-policies deploy/istio                     files that are applied together are checked together
  hallpass lint-policies --json policy.yaml service.yaml`

export function addLintPolicies(program: Command, terminal: Terminal): Command {
  return program
    .command('lint-policies')
    .description('Find valid mesh policies that do not do what they seem to do.')
    .argument('<file...>', 'YAML files in the order in which they are applied, or folders of YAML files')
    .option('--json', 'print the findings as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (paths: string[], { json }: { readonly json?: true }) => {
      const files = (await Promise.all(paths.map(yamlFiles))).flat()
      if (files.length === 0) throw new CommandFailure(`No YAML files in ${paths.join(', ')}.`)
      const findings = lintPolicies(
        await Promise.all(files.map(async (file) => ({ file, text: await readFile(file, 'utf8') }))),
      )
      if (json) printJson(terminal, JSON.stringify(findings, null, 2))
      else report(findings, files.length, terminal)
      if (findings.length > 0) throw new CommandFailure('')
    })
}

function report(findings: readonly Finding[], files: number, terminal: Terminal) {
  for (const finding of findings)
    for (const line of describeFinding(finding).split('\n')) terminal.print(line)
  terminal.print(`${findings.length} findings in ${files} files`)
}

/** Returns the file, or the YAML files of a folder by name, the order of `kubectl apply -f`. */
async function yamlFiles(path: string): Promise<string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path]
    const names = await readdir(path)
    return names
      .filter((name) => /\.ya?ml$/.test(name) && name !== 'kustomization.yaml')
      .sort()
      .map((name) => join(path, name))
  } catch (error) {
    throw new CommandFailure((error as Error).message)
  }
}
