import { EventSourceParserStream } from 'eventsource-parser/stream'
import { recorder } from './record.js'

const record = recorder(process.env)
const response = await fetch(record.url, { headers: { accept: 'text/event-stream' } })
if (!response.ok) throw new Error(`status ${response.status}`)
const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream())
for await (const { event = 'message', data, id } of events) await record.event(event, data, id)
