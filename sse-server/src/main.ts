import { run } from '@hallpass/service-kit'
import { createApp } from './app.ts'
import { loadConfig } from './config.ts'

// `-` is the usual name of standard input.
const env = process.argv.includes('-') ? { ...process.env, INPUT: 'stdin' } : process.env
run('sse-server', env, loadConfig, createApp)
