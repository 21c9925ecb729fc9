import { MAX_RETRY_MS } from './encode-event.ts'

/** One event of a stream, as its sender wrote it. Fields that were not sent are absent, so it can be forwarded unchanged. */
export interface StreamEvent {
  /** The values of the `data` fields, joined by line feeds. */
  readonly data: string
  /** The `event` field; absent means the type `message`. */
  readonly event?: string
  /** The `id` field of this event itself. */
  readonly id?: string
  /** The `retry` field of this event itself, in milliseconds, capped at {@link MAX_RETRY_MS}. */
  readonly retry?: number
  /** The `topic` field, which is not in the standard: the SSE server sends it to readers that request it. Absent if it is empty. */
  readonly topic?: string
  /** Whether its `data` had the optional space after the colon: clients of some sources require it, although the standard does not. */
  readonly spaced?: true
  /** What a client sends as `Last-Event-ID` after this event; an ID stays active until the next one. */
  readonly lastEventId: string
}

/** An event over the size limit, of which only this is known. */
export interface SkippedEvent {
  /** The bytes of its lines, each with one line break. */
  readonly bytes: number
  /** The maximum that it exceeds, which counts only its data. */
  readonly maxEventBytes: number
  /** Its `id` field, if it has one that is not itself too long. */
  readonly id?: string
  /** Its `topic` field, under the same condition. */
  readonly topic?: string
  /** What a client sends as `Last-Event-ID` after it. */
  readonly lastEventId: string
}

export interface EventStreamParserOptions {
  /** Called for each event, in order, during `push`. */
  readonly onEvent: (event: StreamEvent) => void
  /** Called for each comment line, with the text after its colon. */
  readonly onComment?: (text: string) => void
  /** Called for each valid `retry` field, even if no event follows it, with milliseconds capped at {@link MAX_RETRY_MS}. */
  readonly onRetry?: (milliseconds: number) => void
  /** The maximum size of an event's data, in bytes, with one line feed between two `data` fields. */
  readonly maxEventBytes?: number
  /**
   * Called in place of `onEvent` for a larger event when it ends; it is not kept in memory, and parsing continues after it.
   * Without this handler, a larger event makes `push` throw an {@link EventTooLargeError}.
   */
  readonly onTooLarge?: (skipped: SkippedEvent) => void
  /** The ID that is active before the first event: when reconnecting, the ID that was sent as `Last-Event-ID`. */
  readonly lastEventId?: string | undefined
}

/** 1 MiB: far larger than any event of the suite, and small enough for thousands of parsers in one process. */
export const MAX_EVENT_BYTES = 1024 * 1024
/** Room for a field's name and colon in addition to a value of the maximum size. */
const MAX_FIELD_NAME_BYTES = 64
/** Also the longest line that is still read of an event that is skipped: its `id` can come after its data. */
const FIRST_LINE_BYTES = 1024

const LF = 10
const CR = 13
const COLON = 58
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf]

/** An event over the size limit. Without a limit, a sender that never ends its events would exhaust the reader's memory. */
export class EventTooLargeError extends Error {
  readonly code = 'event_too_large'

  constructor(maxEventBytes: number) {
    super(`The stream contains an event larger than ${maxEventBytes} bytes.`)
    this.name = 'EventTooLargeError'
  }
}

/**
 * Parses `text/event-stream` in chunks of any size, as the HTML standard requires (§9.2.6): lines end with CR, LF or
 * CRLF, one leading byte order mark is dropped, bytes that are not UTF-8 become U+FFFD, and an event without its
 * closing blank line is never reported.
 */
export class EventStreamParser {
  readonly #options: EventStreamParserOptions
  readonly #maxEventBytes: number
  // Decodes only whole lines: CR and LF are never part of a multi-byte UTF-8 sequence.
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })

  /** The start of an incomplete line. Its capacity doubles, so that bytes that arrive one at a time cost linear time. */
  #line = new Uint8Array(FIRST_LINE_BYTES)
  #lineLength = 0
  /** Whether the incomplete line is only counted, because it is too long. */
  #dropsLine = false
  #afterCarriageReturn = false
  #markLength = 0
  #failure: EventTooLargeError | undefined

  #data: string | undefined
  #dataBytes = 0
  /** The bytes of the complete lines of this event. */
  #blockBytes = 0
  #skips = false
  #spaced = false
  #progress = 0
  #event = ''
  #id: string | undefined
  #retry: number | undefined
  #topic = ''
  #lastEventId: string

  constructor(options: EventStreamParserOptions) {
    this.#options = options
    this.#maxEventBytes = options.maxEventBytes ?? MAX_EVENT_BYTES
    this.#lastEventId = options.lastEventId ?? ''
  }

  /** Returns the ID to resume from; an `id` field without data changes it too. */
  get lastEventId(): string {
    return this.#lastEventId
  }

  /** Increases when a line ends, or an event that is skipped: what never ends makes no progress. */
  get progress(): number {
    return this.#progress
  }

  /** Whether a line has begun and not ended, or an event that is skipped. */
  get isInside(): boolean {
    return this.#lineLength > 0 || this.#skips
  }

  /**
   * Parses the next bytes.
   * @throws {EventTooLargeError} on this call and every later one: the rest of an oversized event cannot be parsed.
   */
  push(chunk: Uint8Array): void {
    if (this.#failure) throw this.#failure
    let start = this.#skipByteOrderMark(chunk)
    for (let index = start; index < chunk.length; index += 1) {
      const byte = chunk[index]
      if (byte === LF && this.#afterCarriageReturn && index === start) {
        // The second half of a CRLF, possibly in a later chunk than the first.
        this.#afterCarriageReturn = false
        start = index + 1
      } else if (byte === LF || byte === CR) {
        this.#endLine(chunk, start, index)
        this.#afterCarriageReturn = byte === CR
        start = index + 1
      } else if (index === start) this.#afterCarriageReturn = false
    }
    if (start < chunk.length) this.#keep(chunk, start, chunk.length)
  }

  #skipByteOrderMark(chunk: Uint8Array): number {
    let index = 0
    while (this.#markLength < BYTE_ORDER_MARK.length && index < chunk.length) {
      if (chunk[index] !== BYTE_ORDER_MARK[this.#markLength]) {
        // Not a byte order mark: the bytes that looked like one belong to the first line.
        const seen = new Uint8Array(BYTE_ORDER_MARK.slice(0, this.#markLength))
        this.#markLength = BYTE_ORDER_MARK.length
        this.#keep(seen, 0, seen.length)
        return index
      }
      this.#markLength += 1
      index += 1
    }
    return index
  }

  #keep(chunk: Uint8Array, start: number, end: number) {
    const length = this.#lineLength + end - start
    if (this.#dropsLine || length > this.#maxLineBytes) {
      if (!this.#dropsLine) this.#exceedIn(this.#lineLength > 0 ? this.#line : chunk.subarray(start))
      this.#dropsLine = true
      this.#lineLength = length
      return
    }
    if (length > this.#line.length) {
      const longer = new Uint8Array(Math.max(length, this.#line.length * 2))
      longer.set(this.#line.subarray(0, this.#lineLength))
      this.#line = longer
    }
    this.#line.set(chunk.subarray(start, end), this.#lineLength)
    this.#lineLength = length
  }

  #endLine(chunk: Uint8Array, start: number, end: number) {
    if (this.#lineLength === 0) return this.#readLine(chunk.subarray(start, end))
    this.#keep(chunk, start, end)
    if (this.#dropsLine) {
      this.#blockBytes += this.#lineLength + 1
      this.#lineLength = 0
      this.#dropsLine = false
      if (!this.#skips) this.#progress += 1
      return
    }
    const line = this.#line.subarray(0, this.#lineLength)
    this.#lineLength = 0
    this.#readLine(line)
    if (this.#line.length > FIRST_LINE_BYTES) this.#line = new Uint8Array(FIRST_LINE_BYTES)
  }

  #readLine(bytes: Uint8Array) {
    if (bytes.length === 0) return this.#dispatch()
    if (!this.#skips) this.#progress += 1
    this.#blockBytes += bytes.length + 1
    if (bytes.length > this.#maxLineBytes) return this.#exceedIn(bytes)
    const line = this.#decoder.decode(bytes)
    const colon = line.indexOf(':')
    if (colon === 0) return this.#options.onComment?.(line.slice(1))
    const name = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (name === 'data' && this.#data === undefined) this.#spaced = line[colon + 1] === ' '
    this.#readField(name, value, bytes.length - (line.length - value.length))
  }

  #readField(name: string, value: string, valueBytes: number) {
    if (name === 'data') {
      if (this.#skips) return
      this.#dataBytes += valueBytes + (this.#data === undefined ? 0 : 1)
      if (this.#dataBytes > this.#maxEventBytes) return this.#exceed()
      this.#data = this.#data === undefined ? value : `${this.#data}\n${value}`
    } else if (name === 'event') this.#event = value
    else if (name === 'id') {
      if (!value.includes('\0')) this.#id = value
    } else if (name === 'topic') this.#topic = value
    else if (name === 'retry' && /^\d+$/.test(value)) {
      // Any number of ASCII digits is valid (HTML §9.2.6), so a value too large for a number must not lose the event.
      this.#retry = Math.min(Number(value), MAX_RETRY_MS)
      this.#options.onRetry?.(this.#retry)
    }
  }

  /** Handles a blank line. The ID counts even without data; only a block with data is an event. */
  #dispatch() {
    const [data, event, id, retry, topic] = [this.#data, this.#event, this.#id, this.#retry, this.#topic]
    const [skips, bytes, spaced] = [this.#skips, this.#blockBytes, this.#spaced]
    this.#progress += 1
    this.#data = this.#id = this.#retry = undefined
    this.#dataBytes = this.#blockBytes = 0
    this.#skips = this.#spaced = false
    this.#event = this.#topic = ''
    if (id !== undefined) this.#lastEventId = id
    if (skips)
      return this.#options.onTooLarge?.({
        bytes,
        maxEventBytes: this.#maxEventBytes,
        ...(id === undefined ? {} : { id }),
        ...(topic === '' ? {} : { topic }),
        lastEventId: this.#lastEventId,
      })
    if (data === undefined) return
    this.#options.onEvent({
      data,
      ...(event === '' ? {} : { event }),
      ...(id === undefined ? {} : { id }),
      ...(retry === undefined ? {} : { retry }),
      ...(topic === '' ? {} : { topic }),
      ...(spaced ? { spaced } : {}),
      lastEventId: this.#lastEventId,
    })
  }

  get #maxLineBytes(): number {
    const left = this.#maxEventBytes + MAX_FIELD_NAME_BYTES - this.#dataBytes
    return this.#skips ? Math.min(left, FIRST_LINE_BYTES) : left
  }

  /** Handles a line that is too long. A comment is no part of the event, so nothing is missing without it. */
  #exceedIn(line: Uint8Array) {
    if (line[0] !== COLON || !this.#options.onTooLarge) return this.#exceed()
    this.#line = new Uint8Array(FIRST_LINE_BYTES)
  }

  /** Drops what was kept of an event that is too large. */
  #exceed() {
    this.#line = new Uint8Array(FIRST_LINE_BYTES)
    this.#data = undefined
    this.#dataBytes = 0
    this.#skips = true
    if (this.#options.onTooLarge) return
    this.#failure = new EventTooLargeError(this.#maxEventBytes)
    throw this.#failure
  }
}
