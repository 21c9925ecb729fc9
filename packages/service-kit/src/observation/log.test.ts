import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { describe, expect, it } from '@jest/globals'
import { createLog, readable } from './log.ts'

const TOKEN = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzZXJ2aWNlYSJ9.c2lnbmF0dXJl'

function logInto(lines: string[]) {
  return createLog('a-service', 'info', { write: (line) => void lines.push(line) })
}

describe('createLog', () => {
  it('writes JSON lines with the service, the level and an ISO time', () => {
    const lines: string[] = []
    logInto(lines).info({ port: 3000 }, 'ready')
    const entry = JSON.parse(lines[0] as string)
    expect(entry).toMatchObject({ level: 30, service: 'a-service', port: 3000, msg: 'ready' })
    expect(entry.time).toMatch(/^\d{4}-\d\d-\d\dT/)
  })

  it('removes anything that looks like a token from messages, fields and errors', () => {
    const lines: string[] = []
    const log = logInto(lines)
    log.info(`got ${TOKEN}`)
    log.info({ headers: { authorization: `Bearer ${TOKEN}` } })
    log.error({ err: new Error(`bad token ${TOKEN}`) })
    expect(lines).toHaveLength(3)
    for (const line of lines) {
      expect(line).not.toContain('eyJ')
      expect(line).toContain('[token]')
      expect(() => JSON.parse(line)).not.toThrow()
    }
  })

  it('keeps a line break in a logged value from forging a second line', () => {
    const lines: string[] = []
    logInto(lines).info({ keyId: 'x\n{"level":30,"msg":"forged"}' })
    expect(lines).toHaveLength(1)
    expect((lines[0] as string).trimEnd().split('\n')).toHaveLength(1)
  })

  it('escapes what a terminal would interpret or hide, without changing the value', () => {
    const lines: string[] = []
    const value = 'a\u009b2J\u202e\u200b\u007f\u001b[2J'
    logInto(lines).info({ value, 'grüße\u202e': 1 }, 'größe')
    expect(lines[0]).toMatch(/^[ -~üöß]+\n$/)
    expect(JSON.parse(lines[0] as string)).toMatchObject({ value, 'grüße\u202e': 1, msg: 'größe' })
  })

  it('formats lines for a terminal, with the stack only for errors', () => {
    const lines: string[] = []
    const log = createLog('a-service', 'info', readable({ write: (line) => void lines.push(line) }, false))
    log.info({ method: 'GET', path: '/scenario1', status: 200, ms: 3.1, requestId: 'x', jti: 'j' }, 'request')
    log.info({ method: 'GET', path: '/', status: 502, ms: 1, requestId: 'r', traceId: 't' }, 'request')
    log.warn({ err: new Error('no answer') }, 'a peer is unavailable')
    log.error({ err: new Error(`odd ${TOKEN}`) }, 'failed')
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} {2}GET \/scenario1 200 3\.1 ms jti=j\n$/)
    expect(lines[1]).toMatch(/^\S+ {2}GET \/ 502 1 ms requestId=r\n$/)
    expect(lines[2]).toMatch(/^\S+ {2}warning: a peer is unavailable no answer\n$/)
    expect(lines[3]).toMatch(/^\S+ {2}error: failed odd \[token\]\n {4}at .+log\.test\.ts/)
  })

  it('escapes untrusted values for a terminal', () => {
    const lines: string[] = []
    const log = createLog('a-service', 'info', readable({ write: (line) => void lines.push(line) }, false))
    log.info({ method: 'GET', path: '/\x1b[2J', status: 200, ms: 1, agent: '\x9b31m\u202e' }, 'request')
    log.warn({ err: new Error('a\r\nforged') }, 'odd \x07')
    expect(lines.join('')).not.toMatch(/[^\n\x20-\x7e]/)
    expect(lines.join('').split('\n')).toHaveLength(3)
  })

  it('writes everything before the process exits, with one write per turn', () => {
    const module = JSON.stringify(join(import.meta.dirname, 'log.ts'))
    const program = `
      import fs from 'node:fs'
      const { writeSync } = fs
      let writes = 0
      fs.writeSync = (...args) => { writes += args[0] === 1 ? 1 : 0; return writeSync(...args) }
      import(${module}).then(({ createLog }) => {
        const log = createLog('a-service', 'info')
        for (const word of ['one', 'two', 'last']) log.info(word)
        if (writes > 0) throw new Error('written before the turn is over')
        process.exit(3)
      })`
    const { status, stdout } = spawnSync(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', program],
      { encoding: 'utf8', cwd: import.meta.dirname },
    )
    expect(status).toBe(3)
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).msg),
    ).toEqual(['one', 'two', 'last'])
  })

  it('keeps running, and can exit, after the reader of its log has gone away', async () => {
    const module = JSON.stringify(join(import.meta.dirname, 'log.ts'))
    const program = `
      import(${module}).then(({ createLog }) => {
        const log = createLog('a-service', 'info')
        log.info('first')
        process.on('message', () => {
          for (let i = 0; i < 100; i += 1) log.info('unread')
          setImmediate(() => process.exit(3))
        })
      })`
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'ignore', 'ipc'],
    })
    await once(child.stdout as Readable, 'data')
    child.stdout?.destroy()
    child.send('go on')
    const [code] = await once(child, 'close')
    expect(code).toBe(3)
  })

  it('keeps running while its log is not read, writes it later, and counts dropped lines', async () => {
    const module = JSON.stringify(join(import.meta.dirname, 'log.ts'))
    const program = `
      import(${module}).then(({ createLog }) => {
        const log = createLog('a-service', 'info')
        for (let i = 0; i < 12; i += 1) log.info({ i, text: 'x'.repeat(1_000_000) }, 'long')
        process.send('still here')
        process.on('message', () => setTimeout(() => process.exit(0), 200))
        setInterval(() => {}, 1_000)
      })`
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'ignore', 'ipc'],
    })
    await once(child, 'message')
    let text = ''
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      if (text.includes('dropped')) child.send('end')
    })
    await once(child, 'close')
    const lines = text.trim().split('\n')
    expect(lines.filter((line) => line.includes('"long"'))).toHaveLength(9)
    expect(lines.at(-1)).toContain('3 log lines were dropped: standard output was not read')
  })
})
