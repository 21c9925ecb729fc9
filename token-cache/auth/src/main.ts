import { run } from '@hallpass/service-kit'
import { createApp } from './app.ts'
import { loadConfig } from './config.ts'

run('token-cache-auth', process.env, loadConfig, createApp)
