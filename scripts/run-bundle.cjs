// node run-bundle.cjs BUNDLE.cjs: runs a bundle with the machine code that V8 made of it last time, which takes a
// third to a half off the CPU time of a start (docs/decisions/002-bundles-at-start.md). Without that code, or with that of another Node, it just runs.
const { readFileSync, renameSync, statSync, writeFileSync } = require('node:fs')
const { createRequire } = require('node:module')
const { dirname } = require('node:path')
const { Script } = require('node:vm')

process.argv.splice(1, 1)
const bundle = process.argv[1]
const codeFile = `${bundle}.v8`
const madeAt = statSync(bundle).mtimeMs

function compile() {
  const cachedData = read(codeFile)
  const script = new Script(readFileSync(bundle, 'latin1'), { filename: bundle, cachedData })
  if (!cachedData || script.cachedDataRejected) process.once('exit', () => keep(script))
  return script.runInThisContext()
}

function read(file) {
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}

/** At the end, when V8 has compiled whatever the process has used. Two processes of one service may both write. */
function keep(script) {
  try {
    // V8 tells sources apart by their length alone: code of a bundle that has been replaced since must not lie beside it.
    if (statSync(bundle).mtimeMs !== madeAt) return
    const written = `${codeFile}.${process.pid}`
    writeFileSync(written, script.createCachedData())
    renameSync(written, codeFile)
  } catch {
    // A folder that cannot be written to, or that is gone: the next start is as slow as this one was.
  }
}

const main = { exports: {} }
compile()(main.exports, createRequire(bundle), main, bundle, dirname(bundle))
