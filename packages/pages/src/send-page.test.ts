import { describe, expect, it } from '@jest/globals'
import express from 'express'
import request from 'supertest'
import { html } from './html.ts'
import { contentSecurityPolicy, sendPage } from './send-page.ts'

describe('sendPage', () => {
  it('sends a page that is not cached, with a policy without scripts', async () => {
    const app = express().get('/', (_request, response) =>
      sendPage(response, html`<html lang="en"></html>`, { status: 401 }),
    )
    const answer = await request(app).get('/')
    expect(answer.status).toBe(401)
    expect(answer.text).toBe('<!doctype html>\n<html lang="en"></html>')
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(answer.headers['content-security-policy']).toContain("script-src 'none'; connect-src 'none'")
  })

  it('allows only what a page needs, and nothing inline', () => {
    const policy = contentSecurityPolicy({ scripts: true, forms: ['https://idp.example'] })
    expect(policy).toContain("script-src 'self'")
    expect(policy).toContain("form-action 'self' https://idp.example")
    expect(policy).not.toContain('unsafe')
  })
})
