export * from './assets.ts'
export * from './html.ts'
export * from './send-page.ts'
