import { describe, expect, it } from '@jest/globals'
import { MAX_SOCKET_PATH_BYTES, parseAddress, resolveAddress, socketUri } from './address.ts'

describe('the address of the Workload API', () => {
  it.each([
    ['unix:///tmp/agent.sock', { path: '/tmp/agent.sock' }],
    ['unix:/tmp/agent.sock', { path: '/tmp/agent.sock' }],
    ['UNIX:///tmp/a%20b', { path: '/tmp/a b' }],
    ['tcp://1.2.3.4:5', { host: '1.2.3.4', port: 5 }],
    ['tcp://[::1]:65535', { host: '::1', port: 65_535 }],
  ])('%s is valid', (address, target) => {
    expect(parseAddress(address)).toEqual(target)
  })

  it.each([
    ['blah', 'socket URI must have a "tcp" or "unix" scheme'],
    ['http:///foo', 'socket URI must have a "tcp" or "unix" scheme'],
    [' unix:///a', 'socket is not a valid URI: " unix:///a"'],
    ['unix:///%zz', 'socket is not a valid URI: "unix:///%zz"; percent-encoded it is unix:///%25zz'],
    ['unix:///a ä', 'socket is not a valid URI: "unix:///a ä"; percent-encoded it is unix:///a%20%C3%A4'],
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
  ])('%s is rejected', (address, rule) => {
    expect(() => parseAddress(address)).toThrow(
      expect.objectContaining({
        name: 'AddressError',
        code: 'malformed_address',
        message: `workload endpoint ${rule}`,
      }),
    )
  })

  it.each([
    ['/tmp/agent.sock', 'unix:///tmp/agent.sock'],
    [
      '/home/zoë/my projäct #1 (100%)/what?/agent.sock',
      'unix:///home/zo%C3%AB/my%20proj%C3%A4ct%20%231%20(100%25)/what%3F/agent.sock',
    ],
    ['/a%20b/\\/[x]/"`|^', 'unix:///a%2520b/%5C/%5Bx%5D/%22%60%7C%5E'],
    ['/two\nlines/@:;=+&$,', 'unix:///two%0Alines/%40%3A%3B%3D%2B%26%24%2C'],
  ])('of the socket %j is %s, and is parsed back to it', (path, uri) => {
    expect(socketUri(path)).toBe(uri)
    expect(parseAddress(uri)).toEqual({ path })
    // Go's net/url rejects characters that RFC 3986 does not allow in a path.
    expect(uri).toMatch(/^unix:\/\/(\/([A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-F]{2})*)+$/)
  })

  it('can be as long in bytes as the system allows, and a longer one is explained', () => {
    const longest = `/${'ä'.repeat((MAX_SOCKET_PATH_BYTES - 1) / 2)}`
    expect(parseAddress(socketUri(longest))).toEqual({ path: longest })
    expect(() => parseAddress(socketUri(`${longest}x`))).toThrow(
      expect.objectContaining({
        code: 'malformed_address',
        message: `workload endpoint unix socket URI path has ${MAX_SOCKET_PATH_BYTES + 1} bytes; this system allows ${MAX_SOCKET_PATH_BYTES}: ${JSON.stringify(`${longest}x`)}`,
      }),
    )
  })

  it('is the given one, otherwise the one in the environment', () => {
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
