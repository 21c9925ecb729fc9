import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { transform, transformSync } from 'esbuild'

const GLOBALS = new URL('./jest-globals.js', import.meta.url).href
const sources = new Map()

/** Our own modules carry the number of the test file that (indirectly) imports them, so that each one has its own. */
export async function resolve(specifier, context, nextResolve) {
  const generation = context.parentURL === undefined ? '' : new URL(context.parentURL).search
  if (specifier === '@jest/globals') return { url: GLOBALS + generation, shortCircuit: true }
  const resolved = await nextResolve(specifier, context)
  const ours = resolved.url.startsWith('file:') && !resolved.url.includes('/node_modules/')
  return ours && !resolved.url.includes('?') ? { ...resolved, url: resolved.url + generation } : resolved
}

export async function load(url, context, nextLoad) {
  if (!isTypeScript(url)) return nextLoad(url, context)
  const [file] = url.split('?')
  if (!sources.has(file)) {
    const { code } = await transform(await readFile(fileURLToPath(file), 'utf8'), optionsFor(file, false))
    sources.set(file, code)
  }
  return { format: 'module', source: sources.get(file), shortCircuit: true }
}

/** The source map of a module of ours, as a `data:` URL; made only when a stack trace needs it. */
export function sourceMap(url) {
  if (!isTypeScript(url)) return undefined
  const { map } = transformSync(readFileSync(fileURLToPath(url), 'utf8'), optionsFor(url, 'external'))
  return `data:application/json;base64,${Buffer.from(map).toString('base64')}`
}

function isTypeScript(url) {
  return url.startsWith('file:') && /\.ts($|\?)/.test(url)
}

/** Strips the types and lowers `await using` for Node 20. */
function optionsFor(url, sourcemap) {
  return { sourcefile: fileURLToPath(url), sourcemap, loader: 'ts', format: 'esm', target: 'node20' }
}
