import { execFileSync } from 'node:child_process'
import { describe, expect, it } from '@jest/globals'
import { quoted } from './quoted.ts'

describe('a path in a command to paste', () => {
  it.each(['/a/b-c_1.pem', '/my projäct #1 (100%)?/x', "/it's/$HOME/`id`", '/a;rm -r b', '/new\nline'])(
    'is one argument, unchanged: %j',
    (path) => {
      expect(execFileSync('sh', ['-c', `printf %s ${quoted(path)}`], { encoding: 'utf8' })).toBe(path)
    },
  )

  it('is not quoted if it need not be', () => {
    expect(quoted('/etc/tls.key')).toBe('/etc/tls.key')
  })
})
