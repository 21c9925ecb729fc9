import { readlinkSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { loadConfig } from './config.ts'

describe('loadConfig', () => {
  it('identifies workloads by their sockets by default', () => {
    expect(loadConfig({})).toMatchObject({ attestation: 'socket', trustDomain: 'example.org', port: 8446 })
  })

  it('gives the listed identities to anyone only in development mode on loopback', () => {
    expect(() => loadConfig({ ATTESTATION: 'insecure-any' })).toThrow(
      'INSECURE_ANY_IDS must list the SPIFFE IDs',
    )
    const env = { ATTESTATION: 'insecure-any', INSECURE_ANY_IDS: 'spiffe://example.org/a' }
    expect(loadConfig(env).insecureAnyIds).toEqual(['spiffe://example.org/a'])
    for (const more of [{ NODE_ENV: 'production' }, { HOST: '0.0.0.0' }])
      expect(() => loadConfig({ ...env, ...more })).toThrow(
        'allowed only in development mode on a loopback address',
      )
  })

  it('shortens socket paths in a deep state folder, and rejects configured paths that are too long', () => {
    const folder = `/${'deep/'.repeat(20)}`
    const { socketFolder, adminSocket } = loadConfig({ STATE_FOLDER: folder })
    expect(dirname(socketFolder)).toBe(dirname(adminSocket))
    expect(readlinkSync(dirname(adminSocket))).toBe(`${folder}spiffe`)
    expect(() => loadConfig({ STATE_FOLDER: '/tmp/state', SOCKET_FOLDER: folder })).toThrow(
      /a unix socket's path has 121 bytes; this system allows 10[37]: "\/deep\/.*agent\.sock"\. Set SOCKET_FOLDER and ADMIN_SOCKET, or STATE_FOLDER, to shorter paths/,
    )
    const sockets = { SOCKET_FOLDER: '/tmp/sockets', ADMIN_SOCKET: '/tmp/admin.sock' }
    expect(loadConfig({ STATE_FOLDER: folder, ...sockets })).toMatchObject({ socketFolder: '/tmp/sockets' })
    rmSync(dirname(dirname(adminSocket)), { recursive: true })
  })

  it('reports all wrong variables together', () => {
    expect(() =>
      loadConfig({ TRUST_DOMAIN: 'Example.org', X509_TTL_SECONDS: '1', JWT_ALGORITHM: 'HS256' }),
    ).toThrow(
      /TRUST_DOMAIN must be a name like example\.org[\s\S]*X509_TTL_SECONDS|X509_TTL_SECONDS[\s\S]*JWT_ALGORITHM[\s\S]*/,
    )
  })
})
