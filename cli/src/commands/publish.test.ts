import { silentLog } from '@hallpass/service-kit'
import { useService } from '@hallpass/service-kit/testing'
import { createApp, loadConfig } from '@hallpass/sse-server/app'
import { describe, expect, it } from '@jest/globals'
import { runCli } from '../testing/run-cli.ts'

describe('hallpass publish', () => {
  const server = useService(() => createApp(loadConfig({ HTTP_PORT: '0', TCP_PORT: '0' }), silentLog))
  const publish = (...args: string[]) =>
    runCli(['publish', ...(args.includes('--http') ? [] : ['--to', server.url('tcp')]), ...args])

  /** Returns everything published, as the server replays it. */
  async function published(last: string): Promise<string> {
    const response = await fetch(`${server.url()}/events?lastEventId=0`)
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    let text = ''
    while (!text.includes(`data:${last}`)) text += Buffer.from((await reader.read()).value as Uint8Array)
    await reader.cancel()
    return text.replaceAll(/^id:.*\n/gm, '')
  }

  it('sends objects, strings and standard input over TCP and HTTP', async () => {
    expect(await publish('{"name":"news","data":"one"}')).toEqual({ exitCode: 0, out: '', err: '' })
    expect(await publish('--data', 'Hello, world')).toMatchObject({ exitCode: 0 })
    const input = { stdin: '{"data":"two"}{"data":"three"}' }
    expect(await runCli(['publish', '--to', server.url('tcp'), '-'], input)).toMatchObject({ exitCode: 0 })
    const overHttp = await publish('--data', 'last', '--http', server.url())
    expect(overHttp).toMatchObject({ exitCode: 0, out: expect.stringMatching(/^\d+-\d+$/) })
    expect(
      await publish('{"id":"a","data":18446744073709551615}\n{"id":"b","data":"x"}', '--http', server.url()),
    ).toEqual({ exitCode: 0, out: 'a\nb', err: '' })
    expect(await published('x')).toContain(
      'event:news\ndata:one\n\ndata:Hello, world\n\ndata:two\n\ndata:three\n\ndata:last\n\ndata:18446744073709551615\n\ndata:x\n\n',
    )
  })

  it('reports what is wrong with an event', async () => {
    const overTcp = await publish('{"data":1,}')
    expect(overTcp).toEqual({ exitCode: 2, out: '', err: 'hallpass: The object is not valid JSON.' })
    const overHttp = await publish('{"id":"\\n"}', '--http', server.url())
    expect(overHttp).toMatchObject({ exitCode: 2, err: expect.stringContaining('id "\\n" is not valid') })
  })

  it('reports an answer that is not from an SSE server', async () => {
    const { exitCode, err } = await runCli([
      'publish',
      '{"data":"x"}',
      '--to',
      server.url().replace('http', 'tcp'),
    ])
    expect([exitCode, err]).toEqual([1, expect.stringContaining('The response is not from an SSE server')])
    expect((await publish('{"data":"x"}', '--http', `${server.url()}/healthz`)).exitCode).toBe(1)
  })

  it.each([
    ['--to', 'tcp://localhost:2'],
    ['--http', 'http://localhost:2'],
    ['--to', 'tcp://[::1]:2'],
    ['--http', 'http://[::1]:2'],
  ])('exits with 3 if the server is unreachable (%s)', async (option, url) => {
    const { exitCode, err } = await runCli(['publish', '{"data":"x"}', option, url])
    expect([exitCode, err]).toEqual([
      3,
      `hallpass: ${url} is not reachable (ECONNREFUSED). Is the suite running? npm start`,
    ])
  })

  it('connects to an IPv6 address', async () => {
    const app = createApp(loadConfig({ HTTP_PORT: '0', TCP_PORT: '0', HOST: '::1' }), silentLog)
    const { tcp, http } = await app.start()
    const at = (url = '') => url.replace(/localhost|127\.0\.0\.1|\[::1\]/, '[::1]')
    const runs = [
      await runCli(['publish', '--to', at(tcp), '{"data":"x"}']),
      await runCli(['publish', '--http', at(http), '{"data":"x"}']),
    ]
    await app.stop()
    expect(runs.map(({ exitCode, err }) => [exitCode, err])).toEqual([
      [0, ''],
      [0, ''],
    ])
  })

  it('sends every number unchanged', async () => {
    const answer = await publish('{"id":9007199254740993,"data":{"n":1e400}}', '--http', server.url())
    expect(answer).toMatchObject({ exitCode: 0, out: expect.stringMatching(/9007199254740993|-/) })
    await publish('--data', 'last')
    expect(await published('last')).toContain('data:{"n":1e400}')
  })
})
