// Run by `npm start -w <service>` in the folder of the service: starts only that service, with the variables of its .env file.
import { dirname, relative } from 'node:path'
import { bundleName } from './bundle.js'
import { runFreshBundle } from './run-fresh-bundle.js'

await runFreshBundle(bundleName(relative(dirname(import.meta.dirname), process.cwd())))
