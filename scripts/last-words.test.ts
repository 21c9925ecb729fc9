import { describe, expect, it } from '@jest/globals'
import { LastWords } from './last-words.ts'

function heard(text: string) {
  const words = new LastWords()
  for (const line of text.split('\n')) words.hear(line)
  return words.text
}

describe('LastWords', () => {
  it('are the message of a failed start, without the service’s name', () => {
    expect(heard('token-cache-proxy: /state/store: empty. Delete it.')).toBe(
      '/state/store: empty. Delete it.',
    )
  })

  it('contain every problem of a configuration', () => {
    expect(heard('service-a: Invalid configuration:\n  - PORT is required\n  - HOST is odd')).toBe(
      'Invalid configuration: PORT is required; HOST is odd',
    )
  })

  it('are the message of an error, not its stack or its members', () => {
    const node = [
      'node:fs:1',
      '    at x (y.ts:1)',
      '',
      "Error [E_ODD]: odd, open '/x'",
      '    at z',
      '{',
      "  code: 'E'",
      '}',
      'Node.js v20',
    ]
    expect(heard(node.join('\n'))).toBe("Error [E_ODD]: odd, open '/x'")
  })

  it('are the message of a fatal log line', () => {
    const words = new LastWords()
    words.hearLog('{"level":30,"msg":"ready"}')
    words.hearLog('{"level":60,"msg":"uncaught exception","err":{"message":"a bug"}}')
    expect(words.text).toBe('a bug')
  })
})
