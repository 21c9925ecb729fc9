import { EventSource } from 'eventsource'
import { recorder } from './record.js'

const record = recorder(process.env)
const source = new EventSource(record.url)
for (const type of record.types)
  source.addEventListener(type, ({ data, lastEventId }) => record.event(type, data, lastEventId))
source.addEventListener('error', ({ message }) => record.error(message ?? 'error'))
