#!/usr/bin/env node
import { runFreshBundle } from '../../scripts/run-fresh-bundle.js'

await runFreshBundle('hallpass')
