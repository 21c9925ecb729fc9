export * from './development.ts'
export * from './tls-files.ts'
export * from './tls-listener.ts'
