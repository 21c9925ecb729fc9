// What `npm start -w <service>` runs, in the folder of that service: it alone, with the variables of its .env file.
import { dirname, relative } from 'node:path'
import { bundleName } from './bundle.js'
import { runFreshBundle } from './run-fresh-bundle.js'

await runFreshBundle(bundleName(relative(dirname(import.meta.dirname), process.cwd())))
