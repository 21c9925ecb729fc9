import { run } from '@hallpass/service-kit'
import { createApp } from './app.ts'
import { loadConfig } from './config.ts'

run('spiffe-server', process.env, loadConfig, createApp)
