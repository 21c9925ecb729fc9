import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import express from 'express'
import request from 'supertest'
import { Assets } from './assets.ts'

const folder = mkdtempSync(join(tmpdir(), 'assets-'))
mkdirSync(join(folder, 'fonts'))
writeFileSync(join(folder, 'house.css'), 'body {}')
writeFileSync(join(folder, 'fonts/a.woff2'), 'font')

const serve = (assets: Assets) => express().use(assets.mountedAt, assets.routes)

describe('Assets', () => {
  it('serves a file that is cached for a year, at a URL that changes with the content', async () => {
    const before = new Assets(folder)
    const answer = await request(serve(before)).get(before.url('house.css'))
    expect(answer.status).toBe(200)
    expect(answer.headers['content-type']).toBe('text/css; charset=utf-8')
    expect(answer.headers['cache-control']).toBe('public, max-age=31536000, immutable')

    writeFileSync(join(folder, 'house.css'), 'body { margin: 0 }')
    const after = new Assets(folder)
    expect(after.url('house.css')).not.toBe(before.url('house.css'))
    const late = await request(serve(after)).get(before.url('house.css'))
    expect(late.text).toBe('body { margin: 0 }')
    expect(late.headers['cache-control']).toBeUndefined()
  })

  it('keeps relative links between files', async () => {
    const assets = new Assets(folder)
    const font = new URL('fonts/a.woff2', `http://x${assets.url('house.css')}`).pathname
    expect((await request(serve(assets)).get(font)).status).toBe(200)
  })

  it('serves nothing outside its folder', async () => {
    const assets = new Assets(join(folder, 'fonts'))
    for (const path of ['../house.css', '..%2fhouse.css', '%2e%2e/house.css'])
      expect((await request(serve(assets)).get(`/assets/x/${path}`)).status).toBe(404)
  })

  it('throws for an unknown file name', () => {
    expect(() => new Assets(folder).url('hause.css')).toThrow('Asset hause.css not found.')
    expect(() => new Assets(join(folder, 'gone'))).toThrow(/ENOENT/)
  })
})
