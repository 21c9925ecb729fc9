import { describe, expect, it } from '@jest/globals'
import { readCommandLine } from './command-line.ts'

describe('readCommandLine', () => {
  it('starts the agent without arguments, and reads arguments as a command', () => {
    expect(readCommandLine([])).toEqual({ env: {} })
    expect(readCommandLine(['rotate', 'x509'])).toEqual({ verb: ['rotate', 'x509'] })
  })

  it('enables an agent that gives identities to anyone only explicitly', () => {
    expect(readCommandLine(['--insecure-any=spiffe://example.org/client'])).toEqual({
      env: { ATTESTATION: 'insecure-any', INSECURE_ANY_IDS: 'spiffe://example.org/client' },
    })
    expect(() => readCommandLine(['--insecure'])).toThrow("Unknown option '--insecure'")
  })
})
