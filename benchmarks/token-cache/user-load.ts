import { connect } from 'node:net'
import { answerLength, type LoadResult, summary } from '../load.ts'
import type { Hop } from './tier.ts'

/**
 * Sends one request for each user over keep-alive connections, alternating between the hops.
 *
 * @param atOnce concurrent requests at each hop
 */
export async function askForUsers(
  hops: readonly Hop[],
  users: readonly number[],
  atOnce: number,
): Promise<LoadResult> {
  const latencies: number[] = []
  let failures = 0
  const lanes = hops.length * atOnce

  const lane = (hop: Hop, first: number) =>
    new Promise<void>((resolve) => {
      const url = new URL(hop.url)
      const fields = Object.entries({ host: url.host, ...hop.headers })
        .filter(([name]) => name !== 'remote-user')
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('')
      const head = `GET / HTTP/1.1\r\n${fields}remote-user: user`
      const socket = connect(Number(url.port), url.hostname)
      let turn = first
      let sentAt = 0
      let received = ''
      const next = () => {
        const user = users[turn]
        if (user === undefined) return void socket.end()
        turn += lanes
        sentAt = performance.now()
        socket.write(`${head}${user}\r\n\r\n`, 'latin1')
      }
      socket.setEncoding('latin1')
      socket.on('connect', next)
      socket.on('data', (chunk) => {
        received += chunk
        const length = answerLength(received)
        if (length === undefined || received.length < length) return
        latencies.push(performance.now() - sentAt)
        if (!received.startsWith('HTTP/1.1 200') || !received.includes('"data":"xx')) failures += 1
        received = ''
        next()
      })
      socket.on('error', () => {
        failures += 1
      })
      socket.on('close', () => resolve())
    })

  const started = performance.now()
  await Promise.all(
    Array.from({ length: lanes }, (_, index) => lane(hops[index % hops.length] as Hop, index)),
  )
  if (latencies.length !== users.length) failures += users.length - latencies.length
  return summary(latencies, failures, performance.now() - started)
}
