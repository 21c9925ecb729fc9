import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Contestant } from './processes.ts'

/** Starts nginx as a user would configure it for the same task: a token from `auth_request`, cached for 300 s. */
export async function startNginx(
  contestant: Contestant,
  folder: string,
  {
    port,
    server,
    upstreams = '',
    log = 'off',
  }: { port: number; server: string; upstreams?: string; log?: string },
): Promise<string> {
  mkdirSync(join(folder, `nginx-${port}`), { recursive: true })
  const file = join(folder, `nginx-${port}.conf`)
  writeFileSync(
    file,
    `daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid ${folder}/nginx-${port}.pid;
error_log stderr error;
worker_processes 1;
events { worker_connections 4096; }
http {
  access_log ${log};
  keepalive_requests 1000000;
  proxy_temp_path ${folder}/nginx-${port}/proxy;
  client_body_temp_path ${folder}/nginx-${port}/body;
  fastcgi_temp_path ${folder}/nginx-${port}/f; uwsgi_temp_path ${folder}/nginx-${port}/u; scgi_temp_path ${folder}/nginx-${port}/s;
  proxy_cache_path ${folder}/nginx-${port}/cache keys_zone=tokens:16m;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
${upstreams}
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /healthz { return 200; }
${server}
  }
}
`,
  )
  await contestant.start('nginx', ['-c', file, '-p', folder], { ready: `http://127.0.0.1:${port}/healthz` })
  return `http://127.0.0.1:${port}`
}

const upstream = (name: string, urls: readonly string[]) =>
  `  upstream ${name} { ${urls.map((url) => `server ${new URL(url).host};`).join(' ')} keepalive 64; keepalive_requests 1000000; }`

export const passOnly = (urls: readonly string[]) => ({
  upstreams: upstream('next', urls),
  server: '    location / { proxy_pass http://next; }',
})

export const withCachedToken = (api: string, auth: string) => ({
  upstreams: `${upstream('api', [api])}\n${upstream('auth', [auth])}`,
  server: `    location / {
      auth_request /_auth;
      auth_request_set $token $upstream_http_x_token;
      proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer $token";
      proxy_set_header remote-user "";
      proxy_pass http://api;
    }
    location = /_auth {
      internal;
      proxy_pass http://auth/auth;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header Connection "";
      proxy_cache tokens;
      proxy_cache_key "$http_remote_user:$http_user_agent";
      proxy_cache_valid 200 300s;
      proxy_cache_lock on;
      proxy_ignore_headers Cache-Control;
    }`,
})
