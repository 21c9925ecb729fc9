import type { OutgoingHttpHeaders } from 'node:http'
import {
  type ForeignPagesGuard,
  HttpError,
  notFound,
  type Probe,
  type Probes,
  type RecordingService,
  RequestRecord,
  recordFailure,
  runInTrace,
} from '@hallpass/service-kit'
import { type AllowedOrigins, corsHeaders, isPreflight, preflightHeaders } from './cors.ts'
import type { Exchange, ExchangeHandler } from './exchange/index.ts'

/** Maps a path, exactly as sent, and a method to a handler. */
export type RouteTable = Readonly<Record<string, Readonly<Record<string, ExchangeHandler>>>>

export interface DispatchOptions {
  readonly routes: RouteTable
  readonly probes: Probes
  readonly origins: AllowedOrigins
  /** In development mode, rejects pages whose host name resolves to this machine. */
  readonly refuseForeign: ForeignPagesGuard
  readonly service: RecordingService
}

/** Headers of every response that is not a file or a stream. */
const ANSWER_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  // The URL can contain a token, which must not leak to linked pages.
  'referrer-policy': 'no-referrer',
}
/** Returns a function that routes each exchange to its handler, turns errors into responses, and records the result. */
export function dispatcher({
  routes,
  probes,
  origins,
  refuseForeign,
  service,
}: DispatchOptions): (exchange: Exchange) => void {
  const table = new Map(
    Object.entries(routes).map(([path, methods]) => [path, new Map(Object.entries(methods))]),
  )

  async function handle(exchange: Exchange, record: RequestRecord) {
    try {
      const refusal = refusalOf(exchange)
      if (refusal) throw refusal
      if (isPreflight(exchange)) return answer(exchange, 204, preflightHeaders(exchange, origins))
      const methods = table.get(exchange.path)
      if (!methods) throw notFound('no_such_path', 'No such path.')
      const handler = methods.get(exchange.method)
      if (!handler) {
        if (exchange.method !== 'OPTIONS') throw methodNotAllowed([...methods.keys()])
        return answer(exchange, 204, {
          ...corsHeaders(exchange, origins),
          allow: allowed([...methods.keys()]),
        })
      }
      await handler(exchange)
    } catch (thrown) {
      const error = recordFailure(service.log, thrown, record)
      answerJson(exchange, error.status, error.body, { ...corsHeaders(exchange, origins), ...error.headers })
    }
  }

  /** Checks only the host: ALLOWED_ORIGINS decides which pages can read, and every stream requires a token. */
  const refusalOf = ({ malformed, method, host }: Exchange) =>
    malformed ?? refuseForeign({ method, host, headers: {} })

  async function answerProbe(exchange: Exchange, probe: Probe) {
    const { status, type, text } = await probe()
    answerText(exchange, status, type, text)
  }

  return (exchange) => {
    const { method, path, headers, protocol, remoteAddress } = exchange
    // With a slash at the end, as at the other services.
    const probe =
      method === 'GET' || method === 'HEAD' ? probes.answers.get(path.replace(/\/$/, '')) : undefined
    if (probe && !refusalOf(exchange)) return void answerProbe(exchange, probe)
    // Never the query: it can contain a token.
    const record = new RequestRecord(service, { method, url: path, headers })
    exchange.record = record
    if (table.has(path)) record.route = path
    record.add({ protocol, remoteAddress })
    exchange.onClose(() => record.end({ status: exchange.status ?? 0, complete: exchange.complete }))
    // An unsampled trace is not propagated: on Node 20, the async context alone would cost 5% of every later write.
    if (!record.trace.sampled) return void handle(exchange, record)
    void runInTrace(record.trace, () => handle(exchange, record)).then(() =>
      // Reported when the stream opens, not when it closes, so that the explorer shows it immediately.
      record.tellHop(exchange.status ?? 0),
    )
  }
}

export function answer(exchange: Exchange, status: number, headers: OutgoingHttpHeaders = {}): void {
  exchange.answer(status, { ...ANSWER_HEADERS, ...headers })
}

export function answerJson(
  exchange: Exchange,
  status: number,
  body: unknown,
  headers: OutgoingHttpHeaders = {},
): void {
  answerText(exchange, status, 'application/json; charset=utf-8', JSON.stringify(body), headers)
}

function answerText(
  exchange: Exchange,
  status: number,
  type: string,
  text: string,
  headers: OutgoingHttpHeaders = {},
): void {
  exchange.answer(
    status,
    { ...ANSWER_HEADERS, 'content-type': type, 'content-length': Buffer.byteLength(text), ...headers },
    // RFC 9110 §9.3.2: the same headers without a body.
    exchange.method === 'HEAD' ? undefined : text,
  )
}

/** Returns a 405 error with the allowed methods (RFC 9110 §15.5.6). */
export const methodNotAllowed = (methods: readonly string[]) =>
  new HttpError(405, 'method_not_allowed', 'This path does not support this method. See the Allow header.', {
    headers: { allow: allowed(methods) },
  })

const allowed = (methods: readonly string[]) => [...methods, 'OPTIONS'].join(', ')
