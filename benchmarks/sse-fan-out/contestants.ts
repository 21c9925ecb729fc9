import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { ensureExampleKeys } from '@hallpass/sse-gateway/client'
import { signToken } from '@hallpass/tokens'

/** A running event server and the URLs at which clients reach it. */
export interface Contestant {
  readonly name: string
  /** The https URL of the stream. */
  readonly streamUrl: string
  /** The tokens for the streams; connections use them in turn. */
  readonly tokens: readonly string[]
  /** The URL for publishing: `http:` takes a string by POST, `tcp:` a JSON object per line. */
  readonly publishUrl: string
  readonly caFile: string
  /** All processes that take part in a delivery; their CPU time and memory are added up. */
  readonly pids: () => Promise<number[]>
  readonly stop: () => Promise<void>
}

const MODULE = '/usr/lib/nginx/modules/ngx_nchan_module.so'
const TOKEN_SECONDS = 3_600
/** Enough for one token per connection in most runs, so that the gateway verifies each for the first time. */
const TOKENS = 1_000
const START_TIMEOUT_MS = 10_000

/**
 * Starts the suite's gateway and server. Each stream's token is verified, the stream closes at its expiry, and events pass
 * two processes.
 */
export async function startGateway(root: string): Promise<Contestant> {
  const folder = await mkdtemp(join(tmpdir(), 'hallpass-bench-'))
  const [httpPort, tcpPort, port, secondPort] = (await freePorts(4)) as [number, number, number, number]
  const { caFile } = await ensureDevelopmentCertificates(folder)
  const { rs256 } = await ensureExampleKeys(join(folder, 'sse'))
  const tokens = await Promise.all(
    Array.from({ length: TOKENS }, (_, index) =>
      signToken(
        {
          iss: 'https://auth.example.com',
          aud: 'https://api.example.com',
          sub: `bench-${index}`,
          scope: 'proxy:stream',
        },
        rs256,
        { lifetimeSeconds: TOKEN_SECONDS },
      ),
    ),
  )
  const shared = { STATE_FOLDER: folder, LOG_LEVEL: 'error', PATH: process.env.PATH ?? '' }
  const node = (service: string, env: Record<string, string>) =>
    start(process.execPath, [join(root, '.hallpass/bundles', `${service}.cjs`)], { ...shared, ...env })
  const server = node('sse-server', { HTTP_PORT: `${httpPort}`, TCP_PORT: `${tcpPort}` })
  const gateway = node('sse-gateway', {
    PORT: `${port}`,
    SECOND_PORT: `${secondPort}`,
    UPSTREAM_URL: `http://localhost:${httpPort}/events`,
    ASSETS_FOLDERS: join(root, 'sse-gateway/public'),
    MAX_STREAMS: '20000',
    MAX_STREAMS_PER_SUBJECT: '20000',
  })
  await Promise.all([listening(httpPort, server), listening(port, gateway)])
  return {
    name: 'sse-gateway',
    streamUrl: `https://localhost:${port}/events`,
    tokens,
    publishUrl: `tcp://localhost:${tcpPort}`,
    caFile,
    pids: async () => [server.pid as number, gateway.pid as number],
    stop: () => stop(folder, gateway, server),
  }
}

/** Starts nginx with nchan, with one worker and the configuration from its documentation; it requires no token. */
export async function startNchan(): Promise<Contestant> {
  const folder = await mkdtemp(join(tmpdir(), 'hallpass-nchan-'))
  const [port, publishPort] = (await freePorts(2)) as [number, number]
  const { caFile, certFile, keyFile } = await ensureDevelopmentCertificates(folder)
  await mkdir(join(folder, 'temp'))
  await writeFile(join(folder, 'nginx.conf'), nginxConfig(folder, { port, publishPort, certFile, keyFile }))
  const nginx = start(
    'nginx',
    ['-c', join(folder, 'nginx.conf'), '-p', folder, '-e', join(folder, 'error.log')],
    {
      PATH: `${process.env.PATH}:/usr/sbin`,
    },
  )
  await listening(port, nginx)
  const master = nginx.pid as number
  return {
    name: 'nginx + nchan',
    streamUrl: `https://localhost:${port}/events`,
    tokens: [],
    publishUrl: `http://localhost:${publishPort}/publish`,
    caFile,
    pids: async () => [master, ...(await childrenOf(master))],
    stop: () => stop(folder, nginx),
  }
}

/** Returns what to install if nchan is missing, else undefined. */
export const nchanIsMissing = (): string | undefined =>
  existsSync(MODULE) ? undefined : 'apt-get install nginx-light libnginx-mod-nchan'

interface NginxPaths {
  readonly port: number
  readonly publishPort: number
  readonly certFile: string
  readonly keyFile: string
}

const nginxConfig = (folder: string, { port, publishPort, certFile, keyFile }: NginxPaths) => `
load_module ${MODULE};
${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${folder}/nginx.pid;
events { worker_connections 20000; }
http {
  access_log off;
  client_body_temp_path ${folder}/temp;
  proxy_temp_path ${folder}/temp;
  fastcgi_temp_path ${folder}/temp;
  uwsgi_temp_path ${folder}/temp;
  scgi_temp_path ${folder}/temp;
  nchan_max_reserved_memory 256m;
  server {
    listen 127.0.0.1:${port} ssl http2;
    ssl_certificate ${certFile};
    ssl_certificate_key ${keyFile};
    location = /events { nchan_subscriber eventsource; nchan_channel_id bench; nchan_subscriber_first_message newest; }
  }
  server {
    listen 127.0.0.1:${publishPort};
    keepalive_requests 10000000;
    location = /publish { nchan_publisher; nchan_channel_id bench; nchan_message_buffer_length 1000; }
  }
}
`

export function start(command: string, args: readonly string[], env: Record<string, string>): ChildProcess {
  return spawn(command, args, { env, stdio: ['ignore', 'ignore', 'inherit'] })
}

export async function listening(port: number, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  while (performance.now() < deadline && child.exitCode === null && child.pid !== undefined) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = net.connect(port, 'localhost')
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
    if (open) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`${child.spawnfile} does not listen on port ${port}.`)
}

export async function stop(folder: string, ...children: readonly ChildProcess[]): Promise<void> {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    const exited = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    const deadline = setTimeout(() => child.kill('SIGKILL'), 5_000)
    await exited
    clearTimeout(deadline)
  }
  await rm(folder, { recursive: true, force: true })
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return text.split(' ').filter(Boolean).map(Number)
}

export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => net.createServer())
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, 'localhost', () => resolve((server.address() as AddressInfo).port))
        }),
    ),
  )
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
