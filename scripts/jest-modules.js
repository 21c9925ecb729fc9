import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { transformSync } from 'esbuild'

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
  const source = sources.get(file) ?? transform(file, false).code
  sources.set(file, source)
  return { format: 'module', source, shortCircuit: true }
}

/** The source map of a module of ours, as a `data:` URL; made only when a stack trace needs it. */
export function sourceMap(url) {
  if (!isTypeScript(url)) return undefined
  const map = transform(url, 'external').map
  return `data:application/json;base64,${Buffer.from(map).toString('base64')}`
}

function isTypeScript(url) {
  return url.startsWith('file:') && /\.ts($|\?)/.test(url)
}

/** Strips the types and lowers `await using` for Node 20. */
function transform(url, sourcemap) {
  const sourcefile = fileURLToPath(url)
  const options = { sourcefile, sourcemap, loader: 'ts', format: 'esm', target: 'node20' }
  return transformSync(readFileSync(sourcefile, 'utf8'), options)
}
