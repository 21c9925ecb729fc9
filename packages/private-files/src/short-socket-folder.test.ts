import { chmodSync, existsSync, mkdirSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from '@jest/globals'
import { shortSocketFolder } from './short-socket-folder.ts'

const DEEP = join(tmpdir(), `deep-${process.pid}`, 'folder/'.repeat(20), 'spiffe')
const LONGEST = 'sockets/service-a/agent.sock'

describe('shortSocketFolder', () => {
  afterEach(() => rmSync(dirname(shortSocketFolder(DEEP, LONGEST)), { recursive: true, force: true }))

  it('returns a folder unchanged if its socket paths are short enough', () => {
    expect(shortSocketFolder('/tmp/state/spiffe', LONGEST)).toBe('/tmp/state/spiffe')
  })

  it('returns the same short link to a deep folder every time', () => {
    const short = shortSocketFolder(DEEP, LONGEST)
    expect(join(short, LONGEST).length).toBeLessThan(103)
    expect(readlinkSync(short)).toBe(DEEP)
    expect(shortSocketFolder(DEEP, LONGEST)).toBe(short)
    expect(shortSocketFolder(`${DEEP}2`, LONGEST)).not.toBe(short)
    rmSync(dirname(shortSocketFolder(`${DEEP}2`, LONGEST)), { recursive: true })
  })

  it('uses no folder that others can access', () => {
    const own = dirname(shortSocketFolder(DEEP, LONGEST))
    rmSync(own, { recursive: true })
    mkdirSync(own)
    chmodSync(own, 0o777)
    expect(shortSocketFolder(DEEP, LONGEST)).toBe(DEEP)
    expect(existsSync(join(own, 'd'))).toBe(false)
    rmSync(own, { recursive: true })
  })
})
