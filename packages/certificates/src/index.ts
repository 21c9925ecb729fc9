export * from './development.ts'
export * from './tls-files.ts'
