import type { OutgoingHttpHeaders } from 'node:http'
import {
  type ForeignPagesGuard,
  HttpError,
  isTokenRefusal,
  logFailure,
  notFound,
  type Probe,
  type Probes,
  type RecordingService,
  RequestRecord,
  runInTrace,
  toHttpError,
} from '@hallpass/service-kit'
import { type AllowedOrigins, corsHeaders, isPreflight, preflightHeaders } from './cors.ts'
import type { Exchange, ExchangeHandler } from './exchange/index.ts'

/** Path, exactly as sent, to method to handler. */
export type RouteTable = Readonly<Record<string, Readonly<Record<string, ExchangeHandler>>>>

export interface DispatchOptions {
  readonly routes: RouteTable
  readonly probes: Probes
  readonly origins: AllowedOrigins
  /** On a development start, keeps pages out whose own name points to this machine. */
  readonly refuseForeign: ForeignPagesGuard
  readonly service: RecordingService
}

/** On every answer that is not a file or a stream. */
const ANSWER_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  // The URL may have a token in it, and a page that is linked to is none of its business.
  'referrer-policy': 'no-referrer',
}
/** Finds the handler of each exchange, turns what it throws into an answer, and records what became of it. */
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
      if (!methods) throw notFound('no_such_path', 'There is nothing at this path.')
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
      const error = toHttpError(thrown)
      const { requestId, trace } = record
      record.add({ reason: isTokenRefusal(error.cause) ? error.cause.reason : error.code })
      if (error.status >= 500) logFailure(service.log, error, { requestId, traceId: trace.traceId })
      answerJson(exchange, error.status, error.body, { ...corsHeaders(exchange, origins), ...error.headers })
    }
  }

  /** Only the host counts: which pages may read is what ALLOWED_ORIGINS says, and every stream needs a token. */
  const refusalOf = ({ malformed, method, host }: Exchange) =>
    malformed ?? refuseForeign({ method, host, headers: {} })

  async function answerProbe(exchange: Exchange, probe: Probe) {
    const { status, type, text } = await probe()
    answerText(exchange, status, type, text)
  }

  return (exchange) => {
    const { method, path, headers, protocol, remoteAddress } = exchange
    const probe = method === 'GET' || method === 'HEAD' ? probes.answers.get(path) : undefined
    if (probe && !refusalOf(exchange)) return void answerProbe(exchange, probe)
    // Never the query: it may hold a token.
    const record = new RequestRecord(service, { method, url: path, headers })
    exchange.record = record
    if (table.has(path)) record.route = path
    record.add({ protocol, remoteAddress })
    exchange.onClose(() => record.end({ status: exchange.status ?? 0, complete: exchange.complete }))
    // A trace that nobody watches is not carried along: on Node 20 that alone costs every later write a twentieth.
    if (!record.trace.sampled) return void handle(exchange, record)
    void runInTrace(record.trace, () => handle(exchange, record)).then(() =>
      // Told when the stream begins, not when it ends: somebody is watching now.
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
    // RFC 9110 §9.3.2: the same headers, and no body.
    exchange.method === 'HEAD' ? undefined : text,
  )
}

/** 405 names what would be allowed (RFC 9110 §15.5.6). */
export const methodNotAllowed = (methods: readonly string[]) =>
  new HttpError(405, 'method_not_allowed', 'This path does not take this method.', {
    headers: { allow: allowed(methods) },
  })

const allowed = (methods: readonly string[]) => [...methods, 'OPTIONS'].join(', ')
