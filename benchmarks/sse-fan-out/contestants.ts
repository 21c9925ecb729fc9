import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { freePorts } from '@hallpass/free-ports'
import { listening, start, stop } from '../processes.ts'
import { startSuiteGateway } from '../suite-gateway.ts'

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

/** Starts the suite's gateway and server; events pass two processes. */
export async function startGateway(root: string): Promise<Contestant> {
  const { origin, tcpPort, children, ...gateway } = await startSuiteGateway(root, {
    tokens: TOKENS,
    lifetimeSeconds: TOKEN_SECONDS,
    env: { LOG_LEVEL: 'error', MAX_STREAMS: '20000', MAX_STREAMS_PER_SUBJECT: '20000' },
  })
  return {
    ...gateway,
    name: 'sse-gateway',
    streamUrl: `${origin}/events`,
    publishUrl: `tcp://localhost:${tcpPort}`,
    pids: async () => children.map(({ pid }) => pid as number),
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

async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return text.split(' ').filter(Boolean).map(Number)
}
