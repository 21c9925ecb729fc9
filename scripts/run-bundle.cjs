// node run-bundle.cjs BUNDLE.cjs: runs a bundle with the machine code that V8 made of it last time, which halves the
// time to start (docs/decisions/002-bundles-at-start.md). Without that code, or with that of another Node, it just runs.
const { readFileSync, renameSync, writeFileSync } = require('node:fs')
const { createRequire } = require('node:module')
const { dirname } = require('node:path')
const { Script } = require('node:vm')

process.argv.splice(1, 1)
const bundle = process.argv[1]
const codeFile = `${bundle}.v8`

function compile() {
  const cachedData = read(codeFile)
  const source = `(function (exports, require, module, __filename, __dirname) {\n${readFileSync(bundle, 'latin1')}\n})`
  const script = new Script(source, { filename: bundle, lineOffset: -1, cachedData })
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
    const written = `${codeFile}.${process.pid}`
    writeFileSync(written, script.createCachedData())
    renameSync(written, codeFile)
  } catch {
    // A folder that cannot be written to, or that is gone: the next start is as slow as this one was.
  }
}

const main = { exports: {} }
compile()(main.exports, createRequire(bundle), main, bundle, dirname(bundle))
