import { randomBytes } from 'node:crypto'
import { type Attributes, type HrTime, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, type ReadableSpan } from '@opentelemetry/sdk-trace'
import type { HopEvent, HopPublisher } from './hops.ts'

/** A reader who runs a scenario looks at the traces right after. */
const EXPORT_MS = 1_000
/** Spans that wait for a collector that is slow or away; beyond it the newest are dropped, not memory spent. */
const MAX_WAITING_SPANS = 2_048
/** A collector that takes longer is given up for these spans: tries again included. */
const EXPORT_TIMEOUT_MS = 2_000
/** Of a service that stops; a collector that is away must not hold it. */
const STOP_MS = 1_000

const KINDS: Readonly<Record<HopEvent['kind'], SpanKind>> = {
  request: SpanKind.SERVER,
  call: SpanKind.CLIENT,
  verification: SpanKind.INTERNAL,
  event: SpanKind.CONSUMER,
}

/**
 * Tells an OpenTelemetry collector of the hops, as spans by OTLP over HTTP, with the official SDK. It is a module of its
 * own that nobody loads unless OTEL_EXPORTER_OTLP_ENDPOINT is set: the SDK is larger than a service.
 * @param endpoint of the collector, e.g. `http://localhost:4318`; headers are read from OTEL_EXPORTER_OTLP_HEADERS, by the SDK.
 */
export function exportSpans(
  endpoint: string,
  service: string,
): { readonly publish: HopPublisher; stop(): Promise<void> } {
  const exporter = new OTLPTraceExporter({ url: `${endpoint}/v1/traces`, timeoutMillis: EXPORT_TIMEOUT_MS })
  const processor = new BatchSpanProcessor({
    exporter,
    scheduledDelayMillis: EXPORT_MS,
    maxQueueSize: MAX_WAITING_SPANS,
  })
  const resource = resourceFromAttributes({ 'service.name': service, 'service.namespace': 'hallpass' })
  return {
    publish: (event) => processor.onEnd(spanOf(event, resource)),
    async stop() {
      await Promise.race([
        processor.shutdown().catch(() => {}),
        new Promise((resolve) => setTimeout(resolve, STOP_MS).unref()),
      ])
    },
  }
}

/** A hop has the ids of its span already: those that `traceparent` carried. */
function spanOf(event: HopEvent, resource: ReadableSpan['resource']): ReadableSpan {
  const { kind, traceId, startedAt, durationMs } = event
  const ofItsOwn = kind === 'request' || kind === 'call'
  const context = (spanId: string) => ({ traceId, spanId, traceFlags: TraceFlags.SAMPLED })
  // A verification and an event happen within a hop, under its span.
  const own = context(ofItsOwn ? event.spanId : randomBytes(8).toString('hex'))
  const parentId = ofItsOwn ? event.parentId : kind === 'event' ? event.parentId : event.spanId
  return {
    name: nameOf(event),
    kind: KINDS[kind],
    spanContext: () => own,
    ...(parentId === undefined ? {} : { parentSpanContext: context(parentId) }),
    startTime: toHrTime(startedAt),
    endTime: toHrTime(startedAt + durationMs),
    duration: toHrTime(durationMs),
    status: { code: hasFailed(event) ? SpanStatusCode.ERROR : SpanStatusCode.UNSET },
    attributes: attributesOf(event),
    links: [],
    events: (event.checks ?? []).map(({ name, passed, rule, detail }) => ({
      name: `check ${name}`,
      time: toHrTime(startedAt),
      attributes: { passed, rule, ...(detail === undefined ? {} : { detail }) },
    })),
    ended: true,
    resource,
    instrumentationScope: { name: '@hallpass/service-kit' },
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  }
}

function nameOf({ kind, method, path, verdict }: HopEvent): string {
  if (kind === 'verification') return `verify token: ${verdict}`
  if (kind === 'event') return `receive ${path}`
  return `${method} ${path?.split('?', 1)[0]}`
}

/** A refused token is an error of whoever sent it; of the verifier it is the work that it is there for. */
const hasFailed = ({ kind, status }: HopEvent) =>
  kind === 'call' ? status === undefined || status >= 400 : kind === 'request' && (status ?? 500) >= 500

/** Names of the semantic conventions where there is one; of a token nothing that it could be used with. */
function attributesOf(event: HopEvent): Attributes {
  const { kind, method, path, status, peer, verdict, reason, token } = event
  const { kid, alg } = token?.header ?? {}
  const { iss, sub, aud, jti } = token?.claims ?? {}
  const all = {
    ...(kind === 'request' || kind === 'call'
      ? {
          'http.request.method': method,
          'url.path': path?.split('?', 1)[0],
          'http.response.status_code': status,
        }
      : {}),
    'peer.service': peer,
    'error.type': kind === 'call' ? reason : undefined,
    'jwt.verdict': verdict,
    'jwt.reason': kind === 'verification' ? reason : undefined,
    'jwt.kid': kid,
    'jwt.alg': alg,
    'jwt.iss': iss,
    'jwt.sub': sub,
    'jwt.aud': aud,
    'jwt.jti': jti,
  }
  const isSpeakable = (value: unknown) => ['string', 'number', 'boolean'].includes(typeof value)
  return Object.fromEntries(Object.entries(all).filter(([, value]) => isSpeakable(value))) as Attributes
}

const toHrTime = (milliseconds: number): HrTime => {
  const seconds = Math.floor(milliseconds / 1000)
  return [seconds, Math.round((milliseconds - seconds * 1000) * 1e6)]
}
