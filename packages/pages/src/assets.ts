import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import express, { type Router } from 'express'

const YEAR_S = 31_536_000

/**
 * The files beside the pages: styles, fonts, scripts, pictures. They are served under a version that changes with
 * their content, so a browser keeps them for a year and never shows an old one; their relative links keep working.
 */
export class Assets {
  /** To be mounted where `url` points: `app.use(assets.mountedAt, assets.routes)`. */
  readonly routes: Router
  readonly mountedAt = '/assets'
  readonly #version: string
  readonly #files: ReadonlySet<string>

  /** @throws when the folder is not there: a service without its pages must not start. */
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
    // A page from before the last start asks for a version that is gone; it gets today's file, for once.
    this.routes.use(
      '/:version',
      express.static(folder, { index: false, redirect: false, cacheControl: false, etag: false }),
    )
  }

  /**
   * The address of a file.
   * @throws {TypeError} when there is no such file: a typing mistake, found by the first test that shows the page.
   */
  url(file: string): string {
    if (!this.#files.has(file)) throw new TypeError(`There is no asset named ${file}.`)
    return `${this.mountedAt}/${this.#version}/${file}`
  }
}
