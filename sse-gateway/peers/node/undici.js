import { EventSource } from 'undici'
import { recorder } from './record.js'

const record = recorder(process.env)
const source = new EventSource(record.url)
for (const type of record.types)
  source.addEventListener(type, ({ data, lastEventId }) => record.event(type, data, lastEventId))
source.addEventListener('error', ({ message }) => {
  record.error(message ?? 'error')
  if (source.readyState === EventSource.CLOSED) process.exit()
})
// Its timer for a reconnection does not keep a process alive.
setInterval(() => {}, 60_000)
