import { describe, expect, it } from '@jest/globals'
import { Metrics } from './metrics.ts'
import { Probes } from './probes.ts'

async function ask(probes: Probes, path: string) {
  const answer = await probes.answers.get(path)?.()
  return [answer?.status, JSON.parse(answer?.text ?? 'null')]
}

describe('probes', () => {
  it('report the state of the service', async () => {
    const probes = new Probes(new Metrics('test'))
    const notReady = (service: string) => [503, { status: 'not ready', failed: { service } }]
    expect(await ask(probes, '/readyz')).toEqual(notReady('starting'))
    probes.ready()
    expect(await ask(probes, '/readyz')).toEqual([200, { status: 'ready' }])
    probes.stopping()
    probes.ready()
    expect(await ask(probes, '/readyz')).toEqual(notReady('stopping'))
    expect(await ask(probes, '/healthz')).toEqual([200, { status: 'ok' }])
  })

  it('name every check that fails, with its message', async () => {
    const checks = {
      fine: () => {},
      keys: () => Promise.reject(new Error('no key is loaded')),
      store: () => {
        throw new Error('it is full')
      },
    }
    const probes = new Probes(new Metrics('test'), { checks })
    probes.ready()
    const failed = { keys: 'no key is loaded', store: 'it is full' }
    expect(await ask(probes, '/readyz')).toEqual([503, { status: 'not ready', failed }])
  })

  it('show warnings without making the service unready', async () => {
    let text: string | undefined
    const probes = new Probes(new Metrics('test'), {
      warnings: { file: () => text, other: async () => undefined },
    })
    probes.ready()
    expect(await ask(probes, '/readyz')).toEqual([200, { status: 'ready' }])
    text = 'was refused'
    expect(await ask(probes, '/readyz')).toEqual([200, { status: 'ready', warnings: { file: text } }])
    probes.stopping()
    expect(await ask(probes, '/readyz')).toEqual([
      503,
      { status: 'not ready', failed: { service: 'stopping' }, warnings: { file: text } },
    ])
  })
})
