import type { Command } from 'commander'
import { wireSuite } from '../../../scripts/suite.ts'
import { findings } from '../doctor/index.ts'
import { CommandFailure } from '../failure.ts'
import { stateFolder } from '../state-folder.ts'
import type { Terminal } from '../terminal/index.ts'

const MARKS = { good: ['green', '✓'], note: ['yellow', '·'], bad: ['red', '✗'] } as const

export function addDoctor(program: Command, terminal: Terminal): Command {
  return program
    .command('doctor')
    .description('Check this machine for common problems and print fixes.')
    .action(async () => {
      const { print, style } = terminal
      const processes = wireSuite({ port: (documented) => documented, stateFolder: stateFolder(terminal) })
      let bad = 0
      for await (const { state, what, remedy } of findings(terminal, processes)) {
        const [colour, mark] = MARKS[state]
        print(`${style(colour, mark)} ${what}`)
        if (remedy !== undefined) print(`    ${style('bold', remedy)}`)
        if (state === 'bad') bad += 1
      }
      if (bad > 0) throw new CommandFailure(`${bad} ${bad === 1 ? 'problem' : 'problems'} found.`)
    })
}
