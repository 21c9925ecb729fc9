import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join, relative } from 'node:path'
import type { Exchange } from './exchange/index.ts'

interface StaticFile {
  readonly body: Buffer
  readonly type: string
  readonly etag: string
}

/** Only files of these types are served, so that a file in the folder by mistake is not published. */
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
}

/** The page has no inline scripts and loads nothing from other origins; it can open streams on other localhost ports. */
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
 * Serves the demo page. All files are read when the gateway starts, and a request's path is only a map key, so path
 * traversal is not possible.
 */
export class StaticFiles {
  readonly #files: ReadonlyMap<string, StaticFile>

  private constructor(files: ReadonlyMap<string, StaticFile>) {
    this.#files = files
  }

  /** Reads the folders. If two contain a file of the same name, the first folder's is used. */
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
      // Files change with the gateway's version, so browsers must revalidate; unchanged files get 304.
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
    // Skips links, which could point outside the folder.
    if (!entry.isFile() || type === undefined) continue
    const file = join(entry.parentPath, entry.name)
    const body = await readFile(file)
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
    files.set(`/${relative(folder, file).replaceAll('\\', '/')}`, { body, type, etag })
  }
}
