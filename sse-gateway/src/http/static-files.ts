import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join, relative } from 'node:path'
import type { Exchange } from './exchange/index.ts'

interface StaticFile {
  readonly body: Buffer
  readonly type: string
  readonly etag: string
}

/** Files of other types are not served: what is put into the folder by mistake stays there. */
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
}

/** The page has no inline script and loads nothing from elsewhere; it may open streams on this machine's other ports. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "connect-src 'self' https://localhost:*",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/**
 * The demonstration page. All files are read when the gateway starts, and a request's path is the key of a map: there
 * is no path to the file system, so none can be climbed, whatever a request's path has in it.
 */
export class StaticFiles {
  readonly #files: ReadonlyMap<string, StaticFile>

  private constructor(files: ReadonlyMap<string, StaticFile>) {
    this.#files = files
  }

  /** Reads the folders; where two have a file of one name, the first one's counts. */
  static async load(folders: readonly string[]): Promise<StaticFiles> {
    const files = new Map<string, StaticFile>()
    for (const folder of [...folders].reverse()) await read(folder, files)
    const index = files.get('/index.html')
    if (index) files.set('/', index)
    return new StaticFiles(files)
  }

  get paths(): string[] {
    return [...this.#files.keys()]
  }

  /** Answers GET and HEAD of one of `paths`. */
  answer(exchange: Exchange): void {
    const file = this.#files.get(exchange.path) as StaticFile
    const headers = {
      'content-type': file.type,
      etag: file.etag,
      // The files change with the gateway's version: ask each time, and hear 304.
      'cache-control': 'no-cache',
      'content-security-policy': CONTENT_SECURITY_POLICY,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
    }
    const length = { 'content-length': file.body.length }
    if (exchange.headers['if-none-match'] === file.etag) exchange.answer(304, headers)
    else exchange.answer(200, { ...headers, ...length }, exchange.method === 'HEAD' ? undefined : file.body)
  }
}

async function read(folder: string, files: Map<string, StaticFile>) {
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    const type = TYPES[extname(entry.name)]
    // Neither links nor folders: a link could lead out.
    if (!entry.isFile() || type === undefined) continue
    const file = join(entry.parentPath, entry.name)
    const body = await readFile(file)
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
    files.set(`/${relative(folder, file).replaceAll('\\', '/')}`, { body, type, etag })
  }
}
