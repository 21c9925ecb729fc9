export { serveRequests } from './serve.ts'
