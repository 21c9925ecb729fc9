// node --require shift-clock.cjs: advances the clock of a process by the milliseconds in a file, a 64-bit float
// (test-clock.ts). The file is read whenever the clock is read, so a change is effective immediately.
const { openSync, readSync } = require('node:fs')

const file = openSync(process.env.TEST_CLOCK_FILE, 'r')
const ahead = Buffer.alloc(8)
const { Date: SystemDate } = globalThis
const now = () => {
  readSync(file, ahead, 0, 8, 0)
  return SystemDate.now() + ahead.readDoubleLE()
}

globalThis.Date = new Proxy(SystemDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length > 0 ? args : [now()], newTarget),
  apply: () => new Date().toString(),
  get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
})
