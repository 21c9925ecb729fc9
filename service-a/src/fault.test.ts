import { describe, expect, it } from '@jest/globals'
import { faultOf, tamper } from './fault.ts'

const asked = (query: Record<string, string>) => faultOf({ query })

describe('faultOf', () => {
  it('reads the documented flag and the name of a fault', () => {
    expect(asked({})).toBeUndefined()
    expect(asked({ expired: '1' })).toBe('expired')
    expect(asked({ expired: '0' })).toBeUndefined()
    expect(asked({ fault: 'tampered' })).toBe('tampered')
  })

  it.each(['upside-down', '', 'Expired'])('rejects the fault %j and lists the supported ones', (fault) => {
    expect(() => asked({ fault })).toThrow(
      expect.objectContaining({
        status: 400,
        code: 'unknown_fault',
        message: 'fault must be one of expired, wrong-audience, wrong-key, tampered, no-token.',
      }),
    )
  })
})

describe('faultOf with both parameters', () => {
  it('accepts them if they mean the same fault', () => {
    expect(asked({ expired: '1', fault: 'expired' })).toBe('expired')
    expect(asked({ expired: '0', fault: 'tampered' })).toBe('tampered')
  })

  it('rejects two faults', () => {
    expect(() => asked({ expired: '1', fault: 'tampered' })).toThrow(
      expect.objectContaining({
        status: 400,
        code: 'conflicting_faults',
        message: 'expired and fault=tampered are two faults. Send only one of them.',
      }),
    )
  })
})

describe('tamper', () => {
  it('changes only the payload of the token', () => {
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const [header, payload, signature] = tamper(`${part({ alg: 'RS256' })}.${part({ sub: 'a' })}.xyz`).split(
      '.',
    )
    expect(header).toBe(part({ alg: 'RS256' }))
    expect(JSON.parse(Buffer.from(payload as string, 'base64url').toString())).toEqual({
      sub: 'a',
      admin: true,
    })
    expect(signature).toBe('xyz')
  })
})
