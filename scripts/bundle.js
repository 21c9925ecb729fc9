import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { cp, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Packages that cannot be put into a bundle: they carry native code, or load files beside themselves. */
const EXTERNAL = [
  'lmdb',
  'koffi',
  // Loaded only when a configuration names them (packages/tokens), so nobody else should have to read past them.
  'jose',
  'jsonwebtoken',
  'node-jose',
  // Loaded only when OTEL_EXPORTER_OTLP_ENDPOINT names a collector (packages/service-kit). Their api is not among them:
  // prom-client reads it at every start, which from a bundle is one file instead of fifty.
  '@opentelemetry/exporter-trace-otlp-http',
  '@opentelemetry/resources',
  '@opentelemetry/sdk-trace',
]

/** Where the bundles of a checkout live. */
export const bundleFolder = (root) => join(root, '.hallpass/bundles')

/** Every folder of the workspaces that is a service, i.e. has a `src/main.ts`; `spiffe/agent` → `spiffe-agent`. */
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
 * One file per service, plus the launcher and the command line: plain `node` starts it four to ten times faster than a TypeScript loader
 * does, in half the memory (docs/decisions/002-bundles-at-start.md). What is there already is kept as long as no
 * source has changed since; `extraEntries` are made every time.
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
    // Its process holds half a gigabyte by now.
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
  // `import()` becomes `require`, which reads ES modules since Node 20.19. run-bundle.cjs compiles with `vm.Script`, and a script
  // that V8 restores from its code cache has lost the loader that `import()` asks for: the second start would fail.
  supported: { 'dynamic-import': false },
  // A third less to read for every process. Not the syntax: that takes the name of a class expression away, by which
  // oidc-provider finds the lifetimes of its tokens; and with names a stack trace can be read.
  minifyWhitespace: true,
  legalComments: 'none',
  // A bundle says itself what CommonJS would wrap around it, so that run-bundle.cjs can compile the file as it is: with the
  // text put together in memory every process held it twice.
  banner: {
    js: '(main=>typeof require==="function"?main(exports,require,module,__filename,__dirname):main)(function(exports,require,module,__filename,__dirname){',
  },
  footer: { js: '})' },
  // A separate file costs nothing until an error is printed.
  sourcemap: 'linked',
  sourcesContent: false,
  external: EXTERNAL,
  logLevel: 'error',
  define: { 'import.meta.dirname': '__dirname', 'import.meta.filename': '__filename' },
  plugins: [lmdbFromAnyFolder, asciiAlone],
  write: false,
  metafile: true,
})

/** What browsers are served by the web UI: its `public` folder, with one script for each page that has any. */
export const pagesFolder = (root) => join(bundleFolder(root), 'web-ui-public')

/** Loaded by a page of another service, too, so it is a file of its own besides being part of the pages that import it. */
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
    // Relative names: in the absolute path of an entry esbuild takes a `?` for the beginning of a query.
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
    // Read by a browser's developer tools alone, which then show the sources.
    sourcemap: 'linked',
    logLevel: 'error',
  })
  await rm(pagesFolder(root), { recursive: true, force: true })
  // Another process that has made the same meanwhile leaves nothing to do.
  await rename(made, pagesFolder(root)).catch(() => rm(made, { recursive: true }))
}

/**
 * Writes a file whole or not at all: others may run the bundles, or make them at the same moment, like the two programs
 * of `hallpass token | hallpass token decode -`.
 */
async function replaceFile(path, contents) {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const part = `${path}.${process.pid}.part`
  await writeFile(part, contents)
  // What V8 has made of the file before; it would take it for that of this one if both have the same length.
  await rm(`${path}.v8`, { force: true })
  await rename(part, path)
}

/** Folders are among them, whose time changes when a file comes or goes. */
function filesOfPages(root) {
  const folder = join(root, 'web-ui/public')
  return [folder, ...readdirSync(folder, { recursive: true }).map((name) => join(folder, name))].map((path) =>
    relative(root, path),
  )
}

const inputsFile = (root) => join(bundleFolder(root), 'inputs.json')

/** What the bundles were made of: this file, the lock, and every source with its time; packages by the lock alone. */
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
    // A bundle that something has cut off or overwritten is made again.
    names.every((name) => made.sizes?.[name] !== undefined && made.sizes[name] === sizeOf(root, name)) &&
    Object.entries(made.times).every(([file, time]) => timeOf(join(root, file)) === time)
  )
}

const sizeOf = (root, name) =>
  statSync(join(bundleFolder(root), `${name}.cjs`), { throwIfNoEntry: false })?.size

const timeOf = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs

/**
 * lmdb as an ES module: its other form takes its own path for a URL, and so does not find its native code in a folder whose
 * name has a `#`, a `?` or a `%` in it.
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
 * Writes the files with an escape for what is not ASCII: esbuild leaves that in comments and in tagged templates (whose
 * cooked text, which is what tags use, stays the same), and a single such character would make V8 keep the whole
 * text at two bytes each.
 */
const asciiAlone = {
  name: 'ascii-alone',
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

// After an installation (`prepare` in package.json), so that the first `npm start` finds them made.
if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle(dirname(import.meta.dirname))
