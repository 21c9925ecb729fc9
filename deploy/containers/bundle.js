import { cpSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { bundle, bundleFolder, pagesFolder } from '../../scripts/bundle.js'

/** Makes the content of the image: the services' bundles, the programs that start them, and the files that they serve. */
const root = process.cwd()
const app = join(process.argv[2] ?? 'out', 'app')
const isOfTests = (path) => /\.(test|peer)\.ts$|\/testing(\.ts)?$/.test(path)
const own = (name) => join(root, `deploy/containers/${name}.ts`)

await bundle(root, { run: own('run'), healthcheck: own('healthcheck'), tools: own('tools') })
mkdirSync(app, { recursive: true })
cpSync(bundleFolder(root), app, { recursive: true, filter: (path) => path !== pagesFolder(root) })
cpSync(pagesFolder(root), join(app, 'web-ui/public'), { recursive: true })
for (const folder of ['sse-gateway/public', 'token-cache/proxy/public'])
  cpSync(join(root, folder), join(app, folder), { recursive: true })
// The explorer shows the source line of the check that decided (web-ui/src/live/check-sources.ts); 100 KB.
for (const folder of ['packages/tokens/src', 'packages/spiffe/src/jwt-svid', 'jwt-factory/src/keys'])
  cpSync(join(root, folder), join(app, folder), { recursive: true, filter: (path) => !isOfTests(path) })
