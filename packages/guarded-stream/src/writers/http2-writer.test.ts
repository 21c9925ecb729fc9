import { once } from 'node:events'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { EventBlock } from '@hallpass/event-stream/fan-out'
import { afterEach, expect, it } from '@jest/globals'
import { Http2Writer } from './http2-writer.ts'

const servers: http2.Http2Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

/** Returns what a client sees of a stream that a function writes. */
async function seenOf(write: (writer: Http2Writer) => void): Promise<{ text: string; events: string[] }> {
  const server = http2.createServer()
  servers.push(server)
  server.on('stream', (stream) => {
    stream.on('error', () => {})
    stream.respond({ ':status': 200 })
    // The client has the headers, and nothing is pending.
    setTimeout(() => write(new Http2Writer(stream)), 20)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const request = session.request({})
  const seen = { text: '', events: [] as string[] }
  request.setEncoding('utf8')
  request.on('data', (text: string) => {
    seen.text += text
  })
  request.on('end', () => seen.events.push('end'))
  request.on('error', () => seen.events.push(`reset ${request.rstCode}`))
  await once(request, 'close').catch(() => {})
  session.close()
  return seen
}
const block = (text: string) => new EventBlock(Buffer.from(text))

it('ends a stream cleanly', async () => {
  const write = (writer: Http2Writer) => {
    writer.write(block('last'))
    writer.end()
  }
  expect(await seenOf(write)).toEqual({ text: 'last', events: ['end'] })
})

it.each([
  ['incomplete', http2.constants.NGHTTP2_INTERNAL_ERROR],
  ['too_slow', http2.constants.NGHTTP2_ENHANCE_YOUR_CALM],
] as const)('aborts an idle stream without an end (%s)', async (cause, code) => {
  expect(await seenOf((writer) => writer.abort(cause))).toEqual({ text: '', events: [`reset ${code}`] })
})

it('sends the reason, and what came before it, when the upstream has failed', async () => {
  const events = 'e'.repeat(60_000)
  const write = (writer: Http2Writer) => {
    writer.write(block(events))
    writer.write(block('reason'))
    writer.abort('incomplete')
  }
  expect(await seenOf(write)).toEqual({
    text: `${events}reason`,
    events: [`reset ${http2.constants.NGHTTP2_INTERNAL_ERROR}`],
  })
})
