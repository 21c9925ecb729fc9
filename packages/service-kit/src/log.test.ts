import { describe, expect, it } from '@jest/globals'
import { createLog } from './log.ts'

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

  it('cuts whatever looks like a token, in messages, fields and errors', () => {
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
})
