import { describe, expect, it } from '@jest/globals'
import { socketHost } from './socket-host.ts'

describe('socketHost', () => {
  it.each([
    ['tcp://[::1]:7001', '::1'],
    ['https://[2001:db8::1]/events', '2001:db8::1'],
    ['tcp://localhost:7001', 'localhost'],
    ['tcp://127.0.0.1:7001', '127.0.0.1'],
  ])('of %s is %s', (url, host) => expect(socketHost(new URL(url))).toBe(host))
})
