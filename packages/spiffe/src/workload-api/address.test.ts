import { describe, expect, it } from '@jest/globals'
import { parseAddress, resolveAddress } from './address.ts'

describe('the address of the Workload API', () => {
  it.each([
    ['unix:///tmp/agent.sock', { path: '/tmp/agent.sock' }],
    ['unix:/tmp/agent.sock', { path: '/tmp/agent.sock' }],
    ['UNIX:///tmp/a%20b', { path: '/tmp/a b' }],
    ['tcp://1.2.3.4:5', { host: '1.2.3.4', port: 5 }],
    ['tcp://[::1]:65535', { host: '::1', port: 65_535 }],
  ])('%s is good', (address, target) => {
    expect(parseAddress(address)).toEqual(target)
  })

  it.each([
    ['blah', 'socket URI must have a "tcp" or "unix" scheme'],
    ['http:///foo', 'socket URI must have a "tcp" or "unix" scheme'],
    [' unix:///a', 'socket is not a valid URI: " unix:///a"'],
    ['unix:///%zz', 'socket is not a valid URI: "unix:///%zz"'],
    ['unix:foo', 'unix socket URI must not be opaque'],
    ['unix://', 'unix socket URI must include a path'],
    ['unix://u@/foo', 'unix socket URI must not include user info'],
    ['unix://host/foo', 'unix socket URI must not include an authority'],
    ['unix:///foo?x', 'unix socket URI must not include query values'],
    ['unix:///foo#x', 'unix socket URI must not include a fragment'],
    ['unix:///foo%00', 'unix socket URI must not include a zero byte'],
    ['tcp:opaque', 'tcp socket URI must not be opaque'],
    ['tcp://u@1.2.3.4:5', 'tcp socket URI must not include user info'],
    ['tcp://', 'tcp socket URI must include a host'],
    ['tcp://1.2.3.4:5/path', 'tcp socket URI must not include a path'],
    ['tcp://1.2.3.4:5?x', 'tcp socket URI must not include query values'],
    ['tcp://1.2.3.4:5#x', 'tcp socket URI must not include a fragment'],
    ['tcp://foo', 'tcp socket URI host component must be an IP:port'],
    ['tcp://foo:1', 'tcp socket URI host component must be an IP:port'],
    ['tcp://1.2.3.4', 'tcp socket URI host component must include a port'],
    ['tcp://1.2.3.4:', 'tcp socket URI host component must include a port'],
    ['tcp://1.2.3.4:70000', 'tcp socket URI host component must include a port'],
  ])('%s is refused', (address, rule) => {
    expect(() => parseAddress(address)).toThrow(
      expect.objectContaining({
        name: 'AddressError',
        code: 'malformed_address',
        message: `workload endpoint ${rule}`,
      }),
    )
  })

  it('is the one that is given, else the one in the environment', () => {
    const environment = { SPIFFE_ENDPOINT_SOCKET: 'unix:///env' }
    expect(resolveAddress('unix:///given', environment)).toEqual({ path: '/given' })
    expect(resolveAddress(undefined, environment)).toEqual({ path: '/env' })
    for (const nothing of [{}, { SPIFFE_ENDPOINT_SOCKET: '' }])
      expect(() => resolveAddress(undefined, nothing)).toThrow(
        expect.objectContaining({
          code: 'address_missing',
          message: 'workload endpoint socket address is not configured',
        }),
      )
  })
})
