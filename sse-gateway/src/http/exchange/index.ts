export type { Exchange, ExchangeHandler } from './exchange.ts'
export { MAX_HEADER_BYTES } from './header-list.ts'
export { Http1Exchange } from './http1-exchange.ts'
export { Http2Exchange } from './http2-exchange.ts'
