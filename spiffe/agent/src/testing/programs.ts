import { execFile } from 'node:child_process'
import { chmod, copyFile, mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { bundleServices } from './agent-process.ts'
import type { Program, Sandbox } from './sandbox.ts'

const GO_SPIFFE = 'v2.8.1'
const EXAMPLES = 'github.com/spiffe/go-spiffe/v2/examples/spiffe-jwt-using-proxy'
const root = resolve(import.meta.dirname, '../../../..')
const run = promisify(execFile)

export type Language = 'go' | 'node'
export type Role = 'client' | 'proxy' | 'server'

/** The fixed ports of the Go programs; ours are configurable. */
export const PORTS = { proxy: 8443, server: 8080 } as const

/** Installs the programs of both languages in the sandbox; the Go ones are unmodified. */
export async function installPrograms(sandbox: Sandbox): Promise<void> {
  const goFolder = join(root, 'node_modules/.cache', `go-spiffe-${GO_SPIFFE}`)
  const bin = join(sandbox.tmp, 'bin')
  await mkdir(goFolder, { recursive: true })
  await mkdir(bin)
  await chmod(bin, 0o755)
  await bundleServices()
  for (const role of ['client', 'proxy', 'server'] as const) {
    // Fast if the binary already exists.
    await run('go', ['install', `${EXAMPLES}/${role}@${GO_SPIFFE}`], {
      env: { ...process.env, GOBIN: goFolder },
    })
    await copyFile(join(goFolder, role), join(bin, `go-${role}`))
    await copyFile(join(root, '.hallpass/bundles', `spiffe-${role}.cjs`), join(bin, `node-${role}`))
  }
}

/** Starts a program of either language as a user, with go-spiffe's fixed agent address. */
export function start(
  sandbox: Sandbox,
  language: Language,
  role: Role,
  uid: number,
  ...args: string[]
): Program {
  const path = `/tmp/bin/${language}-${role}`
  if (language === 'go') return sandbox.run(uid, [path, ...args])
  return sandbox.run(uid, [process.execPath, path, ...args], {
    SPIFFE_ENDPOINT_SOCKET: 'unix:///tmp/agent.sock',
    STATE_FOLDER: '/tmp',
    HEALTH_PORT: '0',
    PORT: String(PORTS[role as 'proxy'] ?? 0),
    SERVER_URL: `https://localhost:${PORTS.server}`,
    PROXY_URL: `https://localhost:${PORTS.proxy}`,
  })
}

/** Sends a request with this `Authorization` header through the proxy; returns status and body. */
export async function requestWith(
  sandbox: Sandbox,
  authorization: string,
): Promise<{ status: string; body: string }> {
  // Insecure, because other tests verify the proxy's identity; this one tests the server's handling of the header.
  const program = sandbox.run(0, [
    'curl',
    '--silent',
    '--insecure',
    '--write-out',
    '%{http_code} ',
    '--output',
    '-',
    '--header',
    `authorization: ${authorization}`,
    `https://localhost:${PORTS.proxy}/`,
  ])
  await program.ended()
  const [body, status] = [program.output.slice(0, -4), program.output.slice(-4).trim()]
  return { status, body }
}
