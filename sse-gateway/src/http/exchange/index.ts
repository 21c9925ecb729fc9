export type { ClientWriter } from './client-writer.ts'
export type { Exchange, ExchangeHandler } from './exchange.ts'
export { Http1Exchange } from './http1-exchange.ts'
export { Http2Exchange } from './http2-exchange.ts'
