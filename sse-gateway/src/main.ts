import { run } from '@hallpass/service-kit'
import { createApp } from './app.ts'
import { loadConfig } from './config/index.ts'

run('sse-gateway', process.env, loadConfig, createApp)
