import { main } from './hallpass.ts'

void main(process.argv.slice(2)).then((exitCode) => {
  process.exitCode = exitCode
})
