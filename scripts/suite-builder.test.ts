import { describe, expect, it } from '@jest/globals'
import { SuiteBuilder } from './suite-builder.ts'

describe('SuiteBuilder', () => {
  const suite = new SuiteBuilder({ port: (documented) => documented + 20_000, stateFolder: '/state' })
  const agent = suite.add({ name: 'agent', shows: 'identities', ports: { PORT: 'http:1' } })
  const source = suite.add({
    name: 'source',
    shows: 'events',
    ports: { TCP_PORT: 'tcp:2', TLS_PORT: 'https:3' },
  })
  suite.add({
    name: 'caller',
    folder: 'a/caller',
    shows: 'calls',
    ports: { PORT: 'https:4', HEALTH_PORT: 'http:5' },
    calls: { EVENTS_URL: source.TLS_PORT.at('/events'), URLS: [source.TLS_PORT, agent] },
    alsoNeeds: [agent],
    env: { NAME: 'one' },
  })
  agent.knows({ SELF_URL: agent })
  suite.allKnow({ HOPS_URL: source.TCP_PORT })

  it('wires references to the ports of this run, and derives needs from calls', () => {
    expect(suite.processes[2]).toEqual({
      name: 'caller',
      folder: 'a/caller',
      shows: 'calls',
      urls: { PORT: 'https://localhost:20004', HEALTH_PORT: 'http://localhost:20005' },
      readyz: 'http://localhost:20005/readyz',
      needs: ['source', 'agent'],
      env: {
        STATE_FOLDER: '/state',
        PORT: '20004',
        HEALTH_PORT: '20005',
        EVENTS_URL: 'https://localhost:20003/events',
        URLS: 'https://localhost:20003,http://localhost:20001',
        NAME: 'one',
        HOPS_URL: 'tcp://localhost:20002',
      },
    })
  })

  it('derives no need from what a service only knows', () => {
    const [own] = suite.processes
    expect(own).toMatchObject({ name: 'agent', needs: [], env: { SELF_URL: 'http://localhost:20001' } })
  })

  it('compiles no reference to a port that a service does not have', () => {
    // @ts-expect-error the agent listens on PORT only
    expect(agent.HTTPS_PORT).toBeUndefined()
    // @ts-expect-error without a PORT, a reference must name one of the listeners
    const calls = { calls: { EVENTS_URL: source } } satisfies Partial<Parameters<typeof suite.add>[0]>
    expect(Object.keys(calls)).toEqual(['calls'])
  })
})
