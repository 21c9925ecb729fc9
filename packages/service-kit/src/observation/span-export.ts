import { randomBytes } from 'node:crypto'
import { type Attributes, type HrTime, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, type ReadableSpan } from '@opentelemetry/sdk-trace'
import type { HopEvent, HopPublisher } from './hops.ts'

/** Short, because a reader who runs a scenario looks at the traces right after. */
const EXPORT_MS = 1_000
/** Spans that wait for a slow or unavailable collector; beyond it the newest are dropped to bound the memory. */
const MAX_WAITING_SPANS = 2_048
/** The limit for one export, retries included; after it the spans are dropped. */
const EXPORT_TIMEOUT_MS = 2_000
/** The limit for the last export of a stopping service: an unavailable collector must not delay it. */
const STOP_MS = 1_000

const KINDS: Readonly<Record<HopEvent['kind'], SpanKind>> = {
  request: SpanKind.SERVER,
  call: SpanKind.CLIENT,
  verification: SpanKind.INTERNAL,
  event: SpanKind.CONSUMER,
}

/**
 * Exports hops to an OpenTelemetry collector as spans (OTLP over HTTP), with the official SDK. It is a separate module,
 * loaded only if OTEL_EXPORTER_OTLP_ENDPOINT is set, because the SDK is larger than a service.
 * @param endpoint URL of the collector, e.g. `http://localhost:4318`; the SDK reads headers from
 *   OTEL_EXPORTER_OTLP_HEADERS
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

/** Converts a hop, which already has the IDs of its span: those sent in `traceparent`. */
function spanOf(event: HopEvent, resource: ReadableSpan['resource']): ReadableSpan {
  const { kind, traceId, startedAt, durationMs } = event
  const ofItsOwn = kind === 'request' || kind === 'call'
  const context = (spanId: string) => ({ traceId, spanId, traceFlags: TraceFlags.SAMPLED })
  // A verification and an event happen within a hop, so their parent is its span.
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

/** A rejected token is the sender's error; the verifier's span stays OK. */
const hasFailed = ({ kind, status }: HopEvent) =>
  kind === 'call' ? status === undefined || status >= 400 : kind === 'request' && (status ?? 500) >= 500

/** Uses names of the semantic conventions where they exist; the attributes of a token cannot be used to replay it. */
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
