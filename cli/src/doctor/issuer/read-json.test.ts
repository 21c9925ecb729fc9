import { afterEach, describe, expect, it } from '@jest/globals'
import { startTestProvider } from '../../testing/openid-provider.ts'
import { createReader } from './read-json.ts'

describe('createReader', () => {
  let stop = () => {}
  afterEach(() => stop())

  it('stops reading an answer that never ends', async () => {
    const provider = await startTestProvider({
      routes: {
        '/drip': (_request, response) => {
          const timer = setInterval(() => response.write(' '), 10)
          response.on('close', () => {
            clearInterval(timer)
          })
        },
      },
    })
    stop = provider.stop
    const read = createReader({ clock: Date.now, env: {}, timeoutMs: 200 })
    const { status, findings } = await read(`${provider.url}/drip`)
    expect([status, findings]).toEqual([
      undefined,
      [
        {
          state: 'bad',
          what: `${provider.url}/drip did not answer completely within 0.2 s`,
          remedy: `Check that this machine may connect to ${provider.url} (firewall, network policy).`,
        },
      ],
    ])
  })
})
