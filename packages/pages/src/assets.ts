import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import express, { type Router } from 'express'

const YEAR_S = 31_536_000

/**
 * Serves a folder of static files: styles, fonts, scripts, pictures. Their URLs contain a version that changes with the
 * content, so browsers cache them for a year and never show an old one. Relative links between them keep working.
 */
export class Assets {
  /** The path at which to mount the routes: `app.use(assets.mountedAt, assets.routes)`. */
  readonly routes: Router
  readonly mountedAt = '/assets'
  readonly #version: string
  readonly #files: ReadonlySet<string>

  /** @throws if the folder does not exist: a service must not start without its pages. */
  constructor(folder: string) {
    const files = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
    const hash = createHash('sha256')
    for (const file of files) hash.update(file.slice(folder.length)).update(readFileSync(file))
    this.#version = hash.digest('base64url').slice(0, 10)
    this.#files = new Set(files.map((file) => file.slice(join(folder, '/').length)))
    this.routes = express.Router()
    this.routes.use(
      `/${this.#version}`,
      express.static(folder, { index: false, redirect: false, immutable: true, maxAge: YEAR_S * 1000 }),
    )
    // A page loaded before the last start requests an old version; it gets the current file, uncached.
    this.routes.use(
      '/:version',
      express.static(folder, { index: false, redirect: false, cacheControl: false, etag: false }),
    )
  }

  /**
   * Returns the URL of a file.
   * @throws {TypeError} if the file does not exist, so that the first test of a page finds a typo.
   */
  url(file: string): string {
    if (!this.#files.has(file)) throw new TypeError(`Asset ${file} not found.`)
    return `${this.mountedAt}/${this.#version}/${file}`
  }
}
