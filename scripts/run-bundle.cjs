// node run-bundle.cjs BUNDLE.cjs: runs a bundle with V8's code cache of the previous run, which saves a third to a half of
// the CPU time of a start (docs/decisions/002-bundles-at-start.md). Without a cache, or with that of another Node, it runs normally.
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

/** Writes the code cache at exit, when V8 has compiled all used functions. Two processes of one service may both write. */
function keep(script) {
  try {
    // V8 checks only the length of the source: the cache of a replaced bundle must not be stored with the new one.
    if (statSync(bundle).mtimeMs !== madeAt) return
    const written = `${codeFile}.${process.pid}`
    writeFileSync(written, script.createCachedData())
    renameSync(written, codeFile)
  } catch {
    // The folder is missing or not writable. Only the next start is slower.
  }
}

const main = { exports: {} }
compile()(main.exports, createRequire(bundle), main, bundle, dirname(bundle))
