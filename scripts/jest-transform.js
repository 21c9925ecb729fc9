import { transformSync } from 'esbuild'

/** Strips the types and lowers `await using` for Node 20; stack traces keep pointing at the .ts lines. */
export default {
  process: (source, sourcefile) =>
    transformSync(source, {
      sourcefile,
      loader: 'ts',
      format: 'esm',
      target: 'node20',
      sourcemap: 'inline',
    }),
}
