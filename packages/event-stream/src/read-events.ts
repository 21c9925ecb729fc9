import { EventStreamParser, type EventStreamParserOptions, type StreamEvent } from './event-stream-parser.ts'

/** Yields the events of a response body, until the body ends. */
export async function* readEvents(
  body: AsyncIterable<Uint8Array>,
  options: Omit<EventStreamParserOptions, 'onEvent'> = {},
): AsyncGenerator<StreamEvent> {
  let arrived: StreamEvent[] = []
  const parser = new EventStreamParser({ ...options, onEvent: (event) => arrived.push(event) })
  for await (const chunk of body) {
    parser.push(chunk)
    const events = arrived
    arrived = []
    yield* events
  }
}
