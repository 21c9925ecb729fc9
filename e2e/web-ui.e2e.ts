import { createPrivateKey, createPublicKey, type JsonWebKey } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { freePorts } from '@hallpass/free-ports'
import { describeWith } from '@hallpass/service-kit/testing'
import { signToken } from '@hallpass/tokens'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import type { Page } from 'playwright-core'
import type { SuiteProcess } from '../scripts/suite-builder.ts'
import { another } from '../scripts/test-suite.ts'
import { seriousFindings } from './accessibility.ts'
import { everyLook, type Look, takeScreenshots, useBrowser } from './browser.ts'
import { startForeignProvider } from './foreign-provider.ts'
import { useLoginSystem } from './login-system.ts'

describeWith('chromium', 'apt-get install chromium')('the web UI in a browser', () => {
  const browser = useBrowser()
  /** Shared by all tests, with cookies cleared after each: opening a page takes a third of a second. */
  let page: Page
  beforeAll(async () => {
    page = await browser.newPage()
  })
  let foreignProvider: Awaited<ReturnType<typeof startForeignProvider>>
  const system = useLoginSystem(async (processes) => {
    const behindGateway = await webUiBehindGateway(processes)
    const foreign = await webUiOfForeignProvider(processes)
    foreignProvider = foreign.provider
    return [behindGateway, ...foreign.processes]
  })
  afterEach(() => system.clock.set(0))
  afterAll(() => foreignProvider?.stop())

  async function logIn(page: Page, name = 'Ada Okafor', path = '/login') {
    await page.goto(system.urls.webUi + path)
    await page.getByRole('button', { name: new RegExp(name) }).click()
    await page.getByRole('link', { name }).waitFor()
  }
  const statuses = (page: Page) => page.locator('.call .status').allInnerTexts()

  it('logs in, shows the profile and the answers of both backends, and logs out everywhere', async () => {
    const failures: string[] = []
    page.on('console', (message) => message.type() === 'error' && failures.push(message.text()))
    page.on('pageerror', (error) => failures.push(error.message))

    await page.goto(system.urls.webUi)
    expect(await statuses(page)).toEqual(['401', '401'])
    await page.getByRole('link', { name: 'Log in' }).click()
    await page.getByRole('button', { name: /Ada Okafor/ }).click()
    expect(await page.getByRole('heading', { level: 1 }).innerText()).toBe('Hello, Ada Okafor')
    expect(await statuses(page)).toEqual(['200', '200'])
    expect(await page.getByText('"from": "the first backend"').count()).toBe(1)

    await page.getByRole('link', { name: 'Profile' }).click()
    expect(await page.getByRole('heading', { level: 1 }).innerText()).toBe('Ada Okafor')
    expect(await page.evaluate(`document.querySelector('.pass img').naturalWidth`)).toBe(88)

    // One click: the ID token identifies the session, so the provider does not ask.
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.waitForURL(`${system.urls.webUi}/`)
    expect(await statuses(page)).toEqual(['401', '401'])
    // Back shows no cached profile but the provider's login, as its session has ended too.
    await page.goBack()
    expect(await page.getByRole('heading', { level: 1 }).innerText()).toBe('Choose a user')
    expect(failures).toEqual([])
  })

  it('logs in from two tabs of one browser in either order, and Back shows no error', async () => {
    const other = await page.context().newPage()
    await page.goto(`${system.urls.webUi}/login?returnTo=/profile`)
    await other.goto(`${system.urls.webUi}/login?returnTo=/decoder`)
    for (const [tab, path] of [
      [page, '/profile'],
      [other, '/decoder'],
    ] as const) {
      await tab.getByRole('button', { name: /Ada Okafor/ }).dblclick()
      await tab.waitForURL(system.urls.webUi + path)
      await tab.getByRole('link', { name: 'Ada Okafor' }).waitFor()
    }
    const answer = await other.goto(`${system.urls.webUi}/callback?code=c&state=s`)
    expect([answer?.status(), other.url()]).toEqual([200, `${system.urls.webUi}/`])
    // Back leads to the provider's page, which has a link to the web UI.
    await page.goBack()
    await page.getByRole('link', { name: 'Back to the web UI' }).click()
    await page.getByRole('link', { name: 'Ada Okafor' }).waitFor()
    // The form of either tab ends the session of both and the provider's.
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.getByRole('link', { name: 'Log in' }).waitFor()
    await other.getByRole('button', { name: 'Log out' }).click()
    await other.getByRole('link', { name: 'Log in' }).waitFor()
    await other.goto(`${system.urls.webUi}/login`)
    expect(await other.getByRole('heading', { level: 1 }).innerText()).toBe('Choose a user')
    await other.close()
  })

  it('has no serious accessibility violations on any page (axe)', async () => {
    const findings: string[] = []
    const look = async (name: string, looks: readonly Look[] = ['desktop-light', 'phone-dark']) => {
      await takeScreenshots(page, name, looks)
      findings.push(...(await seriousFindings(page)).map((finding) => `${name}: ${finding}`))
    }
    await page.goto(system.urls.webUi)
    await look('home-stranger')
    await page.goto(`${system.urls.webUi}/login`)
    await look('sign-in')
    await page.getByRole('button', { name: /Ada Okafor/ }).click()
    await page.waitForURL(`${system.urls.webUi}/`)
    await look('home', everyLook)
    await page.goto(`${system.urls.webUi}/profile`)
    await look('profile', everyLook)
    await page.goto(`${system.urls.webUi}/callback?code=c&state=s`)
    await look('problem')
    const elsewhere = await browser.newPage({})
    await logIn(elsewhere)
    await page.goto(`${system.urls.webUi}/sessions`)
    await page.getByRole('button', { name: 'Log out there' }).waitFor()
    await look('sessions', everyLook)
    await page.goto(`${system.urls.webUi}/logout`)
    await look('log-out')
    // The form of a session that the web UI no longer knows.
    const [cookie] = (await page.context().cookies(system.urls.webUi)).filter(({ name }) =>
      name.endsWith('webui-session'),
    )
    if (cookie) await page.context().addCookies([{ ...cookie, value: 'of-an-old-session' }])
    await page.getByRole('button', { name: 'Log out Ada Okafor' }).click()
    await page.getByRole('heading', { name: 'You are logged out here' }).waitFor()
    await look('logged-out-here')
    await page.goto(`${system.urls.identityProvider}/session/end`)
    await page.getByRole('button', { name: 'Log out' }).waitFor()
    await look('sign-out')
    expect(findings).toEqual([])
  }, 60_000)

  it('keeps tokens out of the page: host-only cookies, and nothing that a script can read', async () => {
    await logIn(page)
    const cookies = (await page.context().cookies(system.urls.webUi)).filter(({ name }) =>
      name.includes('webui'),
    )
    expect(cookies).toEqual([
      expect.objectContaining({
        name: '__Host-webui-session',
        httpOnly: true,
        secure: true,
        sameSite: 'Lax',
        path: '/',
      }),
    ])
    const readable = await page.evaluate(
      'JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}, document.documentElement.outerHTML])',
    )
    expect(readable).not.toContain('eyJ')
    expect(readable).not.toContain(cookies[0]?.value)
  })

  it('shows a 200 and a 403 to a user who is allowed to call only one backend', async () => {
    await logIn(page, 'Ben Ruiz')
    expect(await statuses(page)).toEqual(['200', '403'])
    expect(await page.getByText('error="insufficient_scope"').count()).toBe(1)
    await takeScreenshots(page, 'home-forbidden', ['desktop-light'])
  })

  it('renews the token during a session, and the backends accept the new one', async () => {
    await logIn(page, 'Zoë Šimić', '/login?returnTo=/profile')
    expect(await page.getByText('0 times in this session').count()).toBe(1)
    system.clock.advance(100)
    await page.reload()
    expect(await page.getByText('once in this session').count()).toBe(1)
    await page.goto(system.urls.webUi)
    // Zoë is authenticated but has no scopes: 403, not 401.
    expect(await statuses(page)).toEqual(['403', '403'])
  })

  it('lists the sessions of other browsers, and logs them out there', async () => {
    const elsewhere = await browser.newPage({
      userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
    })
    await logIn(elsewhere)
    await logIn(page)
    await page.getByRole('link', { name: 'Ada Okafor' }).click()
    await page.getByRole('link', { name: 'Your sessions' }).click()
    const cards = page.locator('.card')
    await cards
      .filter({ hasText: 'this browser' })
      .getByRole('heading', { name: 'Chrome on Linux' })
      .waitFor()
    const there = cards.filter({ has: page.getByRole('heading', { name: 'Firefox on Linux' }) })
    const count = await cards.count()
    await there.getByRole('button', { name: 'Log out there' }).click()
    await there.waitFor({ state: 'detached' })
    expect(await cards.count()).toBe(count - 1)
    await elsewhere.goto(system.urls.webUi)
    expect(await elsewhere.getByRole('heading', { level: 1 }).innerText()).toBe('You are not logged in')
    await page.reload()
    expect(await cards.count()).toBe(count - 1)
  })

  it('logs out at the provider without JavaScript too, by a button', async () => {
    const visitor = await browser.newPage({ javaScriptEnabled: false })
    await logIn(visitor)
    await visitor.getByRole('button', { name: 'Log out' }).click()
    expect(await visitor.getByRole('heading', { level: 1 }).innerText()).toBe('You are logged out here')
    await visitor.getByRole('button', { name: 'Log out at the identity provider' }).click()
    await visitor.waitForURL(`${system.urls.webUi}/`)
    await visitor.goto(`${system.urls.webUi}/login`)
    expect(await visitor.getByRole('heading', { level: 1 }).innerText()).toBe('Choose a user')
  })

  it('says that the provider does not answer, next to the name of the user, who stays logged in', async () => {
    await logIn(page)
    const resume = system.pause('identity-provider')
    try {
      system.clock.advance(125)
      await page.reload()
      expect(await page.getByRole('heading', { level: 1 }).innerText()).toBe('Hello, Ada Okafor')
      await page.getByText('The identity provider does not answer.').waitFor()
      expect(await statuses(page)).toEqual([])
      await takeScreenshots(page, 'home-provider-away')
      expect(await seriousFindings(page)).toEqual([])
      await page.goto(`${system.urls.webUi}/profile`)
      await page.getByText('The identity provider does not answer.').waitFor()
      await takeScreenshots(page, 'profile-provider-away', ['desktop-light', 'phone-dark'])
      expect(await seriousFindings(page)).toEqual([])
    } finally {
      resume()
    }
  })

  it('is logged out by a logout at the provider', async () => {
    await logIn(page)
    await page.goto(`${system.urls.identityProvider}/session/end`)
    await page.getByRole('button', { name: 'Log out' }).click()
    // The provider notifies every client before it shows its page, and waits up to ten seconds for each.
    await page.getByRole('heading', { name: 'You are logged out' }).waitFor()
    expect(system.logged()).toContain('sessions ended by the identity provider')
    await page.goto(system.urls.webUi)
    expect(await statuses(page)).toEqual(['401', '401'])
  })

  it('AL-55: a page of another port reads nothing and changes nothing, although it sends cookies', async () => {
    await logIn(page)
    const other = http.createServer((_request, response) => {
      response.setHeader('content-type', 'text/html').end('<!doctype html><title>Mallory</title>')
    })
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as AddressInfo
    try {
      const mallory = await browser.newPage()
      await mallory.goto(`http://localhost:${port}/`)
      const attempts = await mallory.evaluate(`(async () => {
        const url = ${JSON.stringify(system.urls.webUi)}
        const stream = new EventSource(url + '/', { withCredentials: true })
        const streamed = await new Promise((resolve) => {
          stream.onopen = () => resolve('open')
          stream.onmessage = () => resolve('message')
          stream.onerror = () => resolve('refused')
        })
        const read = await fetch(url + '/profile', { credentials: 'include' }).then(() => 'read', () => 'refused')
        const sent = await fetch(url + '/logout', { method: 'POST', mode: 'no-cors', credentials: 'include' })
          .then(() => 'sent', () => 'refused')
        return [streamed, stream.readyState, read, sent]
      })()`)
      // 2: a rejected EventSource is closed and does not reconnect.
      expect(attempts).toEqual(['refused', 2, 'refused', 'refused'])
      const [answer] = await Promise.all([
        mallory.waitForResponse((response) => response.url() === `${system.urls.webUi}/logout`),
        mallory.evaluate(`{
          const form = document.createElement('form')
          form.method = 'post'
          form.action = ${JSON.stringify(`${system.urls.webUi}/logout`)}
          document.body.append(form)
          form.submit()
        }`),
      ])
      expect(answer.status()).toBe(403)
      await page.reload()
      expect(await page.getByRole('heading', { level: 1 }).innerText()).toBe('Hello, Ada Okafor')
    } finally {
      other.close()
    }
  })

  it('decodes a token only in the page: sends nothing, and cannot send anything', async () => {
    await page.goto(`${system.urls.webUi}/decoder`)
    // The browser may fetch the icon at any time; its fixed URL cannot carry data.
    const icon = await page.evaluate(`document.querySelector('link[rel=icon]').href`)
    const sent: string[] = []
    page.on('request', (request) => {
      if (request.url() !== icon || request.method() !== 'GET') sent.push(request.url())
    })
    const finding = (name: string) => page.locator('.finding', { has: page.locator(`b:text-is("${name}")`) })

    await page.getByRole('button', { name: 'Valid example' }).click()
    await page.getByText('No check failed. Not checked: type.').waitFor()
    expect(await finding('signature').innerText()).toContain('The signature matches this key.')
    await takeScreenshots(page, 'decoder')
    expect(await seriousFindings(page)).toEqual([])

    await page.getByRole('button', { name: 'Tampered example' }).click()
    await page.getByText('A strict verifier rejects this token: signature.').waitFor()
    await page.getByRole('button', { name: 'Expired example' }).click()
    await page.getByText('A strict verifier rejects this token: expiry.').waitFor()
    await page.getByLabel('Token', { exact: true }).fill('Authorization: Bearer a.b')
    await page.getByText('A signed token has three parts; this has 2.').waitFor()
    await page.getByRole('button', { name: 'Clear' }).click()
    expect(await page.locator('#result').isHidden()).toBe(true)

    expect(sent).toEqual([])
    const own = `${system.urls.webUi}/healthz`
    expect(await page.evaluate(`fetch(${JSON.stringify(own)}).then(() => 'sent', () => 'stopped')`)).toBe(
      'stopped',
    )
  })

  it('writes no token to any log', () => {
    expect(system.logged()).toContain('logged in')
    expect(system.logged()).not.toContain('eyJ')
    expect(system.logged()).not.toMatch(/code=|state=|webui-session|access_token/)
  })

  describe('behind a gateway that handles the login', () => {
    /** Signs a token with the provider's key. */
    async function sign(alg: 'RS256' | 'ES256', typ: string, claims: Record<string, unknown>) {
      const file = join(system.stateFolder, 'identity-provider/keys.json')
      const { keys } = JSON.parse(await readFile(file, 'utf8')) as {
        keys: (JsonWebKey & { kid: string; alg: string })[]
      }
      const jwk = keys.find((key) => key.alg === alg)
      if (!jwk) throw new Error(`The provider has no key for ${alg}.`)
      const privateKey = createPrivateKey({ key: jwk, format: 'jwk' })
      const key = { kid: jwk.kid, alg, privateKey, publicKey: createPublicKey(privateKey) }
      return signToken({ iss: system.urls.identityProvider, sub: 'ada', ...claims }, key, {
        lifetimeSeconds: 100,
        typ,
      })
    }
    const idToken = () => sign('RS256', 'JWT', { aud: 'web-ui', name: 'Ada Okafor', nickname: 'ada' })

    it('shows the user of the gateway, and calls the backends with the forwarded token', async () => {
      const accessToken = await sign('ES256', 'at+jwt', {
        aud: 'https://webui',
        scope: 'read:data read:data2',
      })
      const page = await browser.newPage({
        extraHTTPHeaders: { jwt: await idToken(), 'x-name': 'Ada Okafor', my_access_token: accessToken },
      })
      await page.goto(system.url(BEHIND_GATEWAY))
      expect(await statuses(page)).toEqual(['200', '200'])
      await page.getByRole('link', { name: 'Profile' }).click()
      expect(await page.getByRole('heading', { level: 1 }).innerText()).toBe('Ada Okafor')
      expect(await page.getByRole('link', { name: 'Log out' }).getAttribute('href')).toBe('/logout')
    })

    it('AL-26: does not show the user of forged headers', async () => {
      const [header, , signature] = (await idToken()).split('.')
      const claims = Buffer.from(JSON.stringify({ sub: 'mallory', name: 'Mallory the CEO' })).toString(
        'base64url',
      )
      const page = await browser.newPage({
        extraHTTPHeaders: { jwt: `${header}.${claims}.${signature}`, 'x-name': 'Mallory the CEO' },
      })
      const answer = await page.goto(`${system.url(BEHIND_GATEWAY)}/profile`)
      expect(answer?.status()).toBe(401)
      expect(await page.getByRole('heading', { level: 1 }).innerText()).toBe(
        'Identity headers could not be verified',
      )
      expect(await page.getByText('Mallory').count()).toBe(0)
      await takeScreenshots(page, 'forged', ['desktop-light'])
    })
  })

  describe('with another OpenID provider, configured only by environment variables', () => {
    it('logs in there, and its tokens work only at its own backend', async () => {
      const url = system.url(OF_FOREIGN_PROVIDER)
      await page.goto(`${url}/login`)
      await page.locator('input[name=login]').fill('grace')
      await page.locator('input[name=password]').fill('any')
      await page.getByRole('button').first().click()
      await page.getByRole('button', { name: 'Continue' }).click()
      await page.waitForURL(`${url}/`)
      // This provider's ID tokens contain no name, so the subject is shown.
      expect(await page.getByRole('heading', { level: 1 }).innerText()).toBe('Hello, grace')
      expect(await statuses(page)).toEqual(['200', '401'])
    })
  })
})

const BEHIND_GATEWAY = 'web-ui-behind-gateway'
const OF_FOREIGN_PROVIDER = 'web-ui-of-foreign-provider'

const named = (processes: readonly SuiteProcess[], name: string) =>
  processes.find((service) => service.name === name) as SuiteProcess

/** Returns a web UI with the login at a gateway in front of it. */
async function webUiBehindGateway(processes: readonly SuiteProcess[]): Promise<SuiteProcess> {
  const webUi = await another(named(processes, 'web-ui'), BEHIND_GATEWAY, { SHOULD_AUTHENTICATE: 'false' })
  return { ...webUi, env: { ...webUi.env, BASE_URL: webUi.urls.PORT as string } }
}

/** Starts another provider, and returns a web UI and a backend configured for it. */
async function webUiOfForeignProvider(processes: readonly SuiteProcess[]) {
  const audience = 'https://api.elsewhere.example'
  const webUi = await another(named(processes, 'web-ui'), OF_FOREIGN_PROVIDER)
  const url = webUi.urls.PORT as string
  const [port] = (await freePorts(1)) as [number]
  const client = { clientId: 'another-client', clientSecret: 'another secret' }
  const provider = await startForeignProvider({ port, audience, url, ...client })
  const { issuer } = provider
  const backend = await another(named(processes, 'backend-api'), 'backend-of-foreign-provider', {
    ISSUER: issuer,
    AUDIENCE: audience,
    REQUIRED_SCOPES: '',
  })
  const env = {
    BASE_URL: url,
    ISSUER_BASE_URL: issuer,
    AUTH0_CLIENT_ID: client.clientId,
    AUTH0_SECRET: client.clientSecret,
    RANDOM_SECRET: 'x'.repeat(44),
    RESOURCE: audience,
    SCOPE: 'openid profile email offline_access',
    BACKEND_SERVICE_URL: backend.urls.PORT as string,
  }
  return { provider, processes: [backend, { ...webUi, env: { ...webUi.env, ...env } }] }
}
