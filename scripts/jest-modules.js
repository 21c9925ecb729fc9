import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { transform } from 'esbuild'

const GLOBALS = new URL('./jest-globals.js', import.meta.url).href

export function resolve(specifier, context, nextResolve) {
  if (specifier === '@jest/globals') return { url: GLOBALS, shortCircuit: true }
  return nextResolve(specifier, context)
}

/** Strips the types; Node does so itself since version 22.18. */
export async function load(url, context, nextLoad) {
  if (!/^file:.*\.ts($|\?)/.test(url)) return nextLoad(url, context)
  const file = fileURLToPath(url)
  const { code } = await transform(await readFile(file, 'utf8'), {
    sourcefile: file,
    sourcemap: 'inline',
    sourcesContent: false,
    loader: 'ts',
    format: 'esm',
    target: 'node20',
  })
  return { format: 'module', source: code, shortCircuit: true }
}
