import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { cp, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Packages that cannot be bundled: they contain native code, or load files from their own folder. */
const EXTERNAL = [
  'lmdb',
  'koffi',
  // Loaded only if a configuration selects them (packages/tokens), so other processes need not parse them.
  'jose',
  'jsonwebtoken',
  'node-jose',
  // Loaded only if OTEL_EXPORTER_OTLP_ENDPOINT is set (packages/service-kit). Their API package is bundled: prom-client
  // loads it at every start, and a bundle is one file instead of fifty.
  '@opentelemetry/exporter-trace-otlp-http',
  '@opentelemetry/resources',
  '@opentelemetry/sdk-trace',
]

/** Returns the folder of the bundles of a checkout. */
export const bundleFolder = (root) => join(root, '.hallpass/bundles')

/**
 * Returns every workspace folder that is a service, i.e. has a `src/main.ts`, by name: `spiffe/agent` is
 * `spiffe-agent`.
 */
export function findServices(root) {
  const { workspaces } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return workspaces
    .flatMap((pattern) =>
      pattern.endsWith('/*')
        ? readdirSync(join(root, pattern.slice(0, -2))).map((name) => pattern.replace('*', name))
        : [pattern],
    )
    .filter((folder) => existsSync(join(root, folder, 'src/main.ts')))
}

export const bundleName = (folder) => folder.replaceAll('/', '-')

/**
 * Bundles each service, the launcher and the command line into one file each: plain `node` starts it four to ten times
 * faster than a TypeScript loader, in half the memory (docs/decisions/002-bundles-at-start.md). Existing bundles are
 * kept until a source changes; `extraEntries` are always rebuilt.
 */
export async function bundle(root, extraEntries = {}) {
  const services = Object.fromEntries(
    findServices(root).map((folder) => [bundleName(folder), join(root, folder, 'src/main.ts')]),
  )
  const entries = {
    start: join(root, 'scripts/start.ts'),
    hallpass: join(root, 'cli/src/run.ts'),
    ...services,
  }
  const isFresh = isUnchanged(root, Object.keys(entries))
  if (isFresh && Object.keys(extraEntries).length === 0) return
  const { build, stop } = await import('esbuild')
  try {
    if (!isFresh) {
      const { metafile } = await build({ ...settings(root), entryPoints: entries })
      await bundlePages(root, build)
      await remember(root, Object.keys(entries), metafile)
    }
    if (Object.keys(extraEntries).length > 0) await build({ ...settings(root), entryPoints: extraEntries })
  } finally {
    // esbuild's process uses half a gigabyte by now.
    await stop()
  }
}

const settings = (root) => ({
  absWorkingDir: root,
  outdir: bundleFolder(root),
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  // `import()` becomes `require`, which can load ES modules since Node 20.19. run-bundle.cjs compiles with `vm.Script`,
  // and a script restored from V8's code cache has lost the loader for `import()`: the second start would fail.
  supported: { 'dynamic-import': false },
  // A third less to read for every process. Syntax is not minified: that removes the names of class expressions, by
  // which oidc-provider finds the lifetimes of its tokens, and names make a stack trace readable.
  minifyWhitespace: true,
  legalComments: 'none',
  // The bundle contains the CommonJS wrapper itself, so that run-bundle.cjs can compile the file as it is:
  // concatenating the wrapper in memory made every process hold the source twice.
  banner: {
    js: '(main=>typeof require==="function"?main(exports,require,module,__filename,__dirname):main)(function(exports,require,module,__filename,__dirname){',
  },
  footer: { js: '})' },
  // A separate file is not read until an error is printed.
  sourcemap: 'linked',
  sourcesContent: false,
  external: EXTERNAL,
  logLevel: 'error',
  define: { 'import.meta.dirname': '__dirname', 'import.meta.filename': '__filename' },
  plugins: [lmdbFromAnyFolder, asciiOnly],
  write: false,
  metafile: true,
})

/**
 * Returns the folder that the web UI serves: its `public` folder, with one bundled script for each page that has any.
 */
export const pagesFolder = (root) => join(bundleFolder(root), 'web-ui-public')

/**
 * Scripts that a page of another service loads too: separate files, although the pages that import them include them.
 */
const SHARED_SCRIPTS = ['confirm-action.js']

async function bundlePages(root, build) {
  const folder = join(root, 'web-ui/public')
  const made = `${pagesFolder(root)}.${process.pid}`
  await cp(folder, made, { recursive: true, filter: (path) => !path.endsWith('.js') })
  const scripts = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.js'))
  const imported = new Set(
    scripts.flatMap((name) => {
      const imports = readFileSync(join(folder, name), 'utf8').matchAll(/ from '(\..+)'$/gm)
      return [...imports].map(([, path]) => join(dirname(name), path))
    }),
  )
  await build({
    // Relative names, because esbuild treats a `?` in the absolute path of an entry as the beginning of a query.
    absWorkingDir: folder,
    entryPoints: scripts
      .filter((name) => !imported.has(name) || SHARED_SCRIPTS.includes(name))
      .map((name) => `./${name}`),
    outbase: '.',
    outdir: made,
    bundle: true,
    format: 'esm',
    target: 'es2022',
    minify: true,
    // Loaded only by a browser's developer tools, which then show the sources.
    sourcemap: 'linked',
    logLevel: 'error',
  })
  await rm(pagesFolder(root), { recursive: true, force: true })
  // If another process has built the same meanwhile, nothing is left to do.
  await rename(made, pagesFolder(root)).catch(() => rm(made, { recursive: true }))
}

/**
 * Writes a file atomically: other processes may run or build the bundles at the same moment, like the two programs of
 * `hallpass token | hallpass token decode -`.
 */
async function replaceFile(path, contents) {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const part = `${path}.${process.pid}.part`
  await writeFile(part, contents)
  // Removes V8's code cache of the previous file, which it would use for this one if both have the same length.
  await rm(`${path}.v8`, { force: true })
  await rename(part, path)
}

/** Returns the sources of the pages, including folders, whose time changes when a file is added or removed. */
function filesOfPages(root) {
  const folder = join(root, 'web-ui/public')
  return [folder, ...readdirSync(folder, { recursive: true }).map((name) => join(folder, name))].map((path) =>
    relative(root, path),
  )
}

const inputsFile = (root) => join(bundleFolder(root), 'inputs.json')

/**
 * Records the inputs of the bundles: this file, the lock file, and every source with its time; packages by the lock
 * file.
 */
async function remember(root, names, { inputs }) {
  const files = Object.keys(inputs).filter((file) => !file.includes('node_modules/'))
  const settled = [...files, ...filesOfPages(root), 'scripts/bundle.js', 'node_modules/.package-lock.json']
  const times = Object.fromEntries(settled.map((file) => [file, timeOf(join(root, file))]))
  const sizes = Object.fromEntries(names.map((name) => [name, sizeOf(root, name)]))
  await replaceFile(inputsFile(root), JSON.stringify({ root, times, sizes }))
}

function isUnchanged(root, names) {
  let made
  try {
    made = JSON.parse(readFileSync(inputsFile(root), 'utf8'))
  } catch {
    return false
  }
  return (
    made.root === root &&
    // A truncated or overwritten bundle is rebuilt.
    names.every((name) => made.sizes?.[name] !== undefined && made.sizes[name] === sizeOf(root, name)) &&
    Object.entries(made.times).every(([file, time]) => timeOf(join(root, file)) === time)
  )
}

const sizeOf = (root, name) =>
  statSync(join(bundleFolder(root), `${name}.cjs`), { throwIfNoEntry: false })?.size

const timeOf = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs

/**
 * Loads lmdb as an ES module: its CommonJS form treats its own path as a URL, and so does not find its native code in a
 * folder whose name contains `#`, `?` or `%`.
 */
const lmdbFromAnyFolder = {
  name: 'lmdb-from-any-folder',
  setup(esbuild) {
    esbuild.onResolve({ filter: /^lmdb$/ }, ({ path, kind }) =>
      kind === 'require-resolve' ? { path, external: true } : { path, namespace: 'lmdb' },
    )
    esbuild.onLoad({ filter: /./, namespace: 'lmdb' }, () => ({
      contents: `module.exports = require(require('node:path').join(require.resolve('lmdb'), '../../node-index.js'))`,
    }))
  },
}

/**
 * Escapes non-ASCII characters in the output. esbuild leaves them in comments and in tagged templates (whose cooked
 * string, which tags use, stays the same), and a single one would make V8 store the whole source with two bytes per
 * character.
 */
const asciiOnly = {
  name: 'ascii-only',
  setup: (esbuild) =>
    esbuild.onEnd(async ({ outputFiles = [] }) => {
      for (const { path, contents } of outputFiles) {
        const isCode = path.endsWith('.cjs')
        await replaceFile(
          path,
          isCode
            ? Buffer.from(contents)
                .toString()
                .replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
            : contents,
        )
      }
    }),
}

// After an installation (`prepare` in package.json), so that the first `npm start` finds the bundles.
if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle(dirname(import.meta.dirname))
