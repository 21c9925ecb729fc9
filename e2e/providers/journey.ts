import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from '@jest/globals'
import type { Page } from 'playwright-core'
import type { JourneySystem } from './journey-system.ts'
import type { Capability } from './provider.ts'

/** Enough for several logins, and for a token to expire, on a busy machine. */
const TEST_TIMEOUT_MS = 60_000
/** How long the web UI waits before it asks a provider again that was unavailable, and some time for the page. */
const RECOVERS_WITHIN_MS = 12_000
/** The web UI waits 2 s for the provider when a page needs a token (web-ui/src/sessions/token-renewal.ts); plus the page. */
const PAGE_WITHIN_MS = 4_000
/** How long a back-channel logout may take to arrive. */
const NOTIFIED_WITHIN_MS = 5_000
const PARALLEL_PAGES = 20

/** The web UI renews a token when a quarter of its lifetime is left (web-ui/src/sessions/session-tokens.ts). */
const renewalMs = (lifetimeSeconds: number) => lifetimeSeconds * 750

/**
 * Tests what a user and an attacker see with a provider: login, profile, answers of both backends, refresh, rotation, outage,
 * logout. What the provider does not have is skipped, and its reason is printed.
 */
export function testJourney(system: JourneySystem): void {
  const { lacks, name } = system.definition
  const test = (title: string, needs: readonly Capability[], run: () => Promise<void>) => {
    const missing = needs.find((capability) => lacks[capability] !== undefined)
    if (missing === undefined) return it(title, run, TEST_TIMEOUT_MS)
    console.warn(`skipped: ${name}: ${missing}: ${lacks[missing]}`)
    return it.skip(title, run)
  }
  const both = () => system.provider.users.both
  /** The name that pages show: without the claim `name`, the subject. */
  const shownName = async (page: Page) =>
    lacks.name === undefined ? both().name : await page.locator('.account a span').last().innerText()
  /** What both backends answer to a user who may call them: they can verify only JWTs. */
  const accepted = lacks['JWT access tokens'] === undefined ? ['200', '200'] : ['401', '401']
  const home = (page: Page) => page.goto(`${system.urls.webUi}/`)

  test(
    'logs in, shows the name on the profile, and calls both backends with the access token',
    [],
    async () => {
      const page = await system.newPage()
      await system.logIn(page, both())
      expect(await headline(page)).toBe(`Hello, ${await shownName(page)}`)
      expect(await statuses(page)).toEqual(accepted)
      if (lacks['JWT access tokens'] === undefined)
        expect(await page.getByText('"from": "the first backend"').count()).toBe(1)
      await page.getByRole('link', { name: 'Profile' }).click()
      await page.waitForURL(`${system.urls.webUi}/profile`)
      expect(await headline(page)).toBe(await shownName(page))
      expect(await page.content()).not.toContain('eyJ')
    },
  )

  test('shows a 403 to a user without the scope of the second backend', ['scopes per user'], async () => {
    const page = await system.newPage()
    await system.logIn(page, system.provider.users.onlyData)
    expect(await statuses(page)).toEqual(['200', '403'])
    expect(await page.getByText('error="insufficient_scope"').count()).toBe(1)
  })

  test(
    'renews the access token before it expires, once for all pages that load then',
    ['refresh'],
    async () => {
      const page = await system.newPage()
      await system.logIn(page, both())
      expect(await renewals(system, page)).toBe(0)
      await sleep(renewalMs(system.provider.accessTokenSeconds))
      const pages = await Promise.all(
        Array.from({ length: PARALLEL_PAGES }, () =>
          page.context().request.get(`${system.urls.webUi}/profile`),
        ),
      )
      expect(pages.map((one) => one.status())).toEqual(pages.map(() => 200))
      expect(await renewals(system, page)).toBe(1)
      await home(page)
      expect(await statuses(page)).toEqual(accepted)
    },
  )

  test(
    'keeps sessions while the provider rotates its keys, and a new login works immediately',
    ['key rotation'],
    async () => {
      const page = await system.newPage()
      await system.logIn(page, both())
      const loggedInAt = performance.now()
      await system.provider.rotateKeys?.()
      const other = await system.newPage()
      await system.logIn(other, both())
      expect(await statuses(other)).toEqual(accepted)
      if (lacks.refresh === undefined) {
        await sleep(
          Math.max(0, renewalMs(system.provider.accessTokenSeconds) - (performance.now() - loggedInAt)),
        )
        await home(page)
        expect(await headline(page)).toMatch(/^Hello, /)
        expect(await statuses(page)).toEqual(accepted)
        expect(await renewals(system, page)).toBeGreaterThanOrEqual(1)
      }
    },
  )

  test(
    'the backends accept only the access token: 401 for any other token',
    ['JWT access tokens', 'access tokens unlike ID tokens'],
    async () => {
      const tokens = await system.tokens(both())
      const renewed =
        tokens.refresh_token && lacks.refresh === undefined
          ? await system.refreshed(tokens.refresh_token)
          : undefined
      const [header, payload] = tokens.access_token.split('.') as [string, string]
      const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
      const forged = Buffer.from(JSON.stringify({ ...claims, sub: 'mallory' })).toString('base64url')
      const unsigned = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')
      const tried: Record<string, string | undefined> = {
        'the access token': tokens.access_token,
        'the renewed access token': renewed?.access_token ?? tokens.access_token,
        'the ID token': tokens.id_token,
        'the ID token of a refresh': renewed?.id_token ?? tokens.id_token,
        'the refresh token': tokens.refresh_token ?? 'none',
        'another subject': tokens.access_token.replace(payload, forged),
        'alg none': `${unsigned}.${payload}.`,
        'a header only': header,
        garbage: 'garbage',
      }
      const seen: Record<string, unknown> = {}
      for (const [what, token] of Object.entries(tried)) seen[what] = await callBackend(system, token)
      expect(seen).toEqual(
        Object.fromEntries(
          Object.keys(tried).map((what) => [
            what,
            what.endsWith('access token') ? [200, ''] : [401, 'invalid_token'],
          ]),
        ),
      )
      expect(await callBackend(system, undefined)).toEqual([401, ''])
    },
  )

  test(
    'keeps the session while the provider is unavailable, says so, and recovers',
    ['refresh'],
    async () => {
      const page = await system.newPage()
      await system.logIn(page, both())
      const expiresAt = performance.now() + system.provider.accessTokenSeconds * 1_000
      await system.front.fail('hangs')
      try {
        await home(page)
        expect(await statuses(page)).toEqual(accepted)
        await sleep(Math.max(0, expiresAt - performance.now()) + 500)
        for (const outage of ['hangs', 'refuses'] as const) {
          await system.front.fail(outage)
          const started = performance.now()
          await home(page)
          expect(await headline(page)).toMatch(/^Hello, /)
          expect(await page.getByText('The identity provider does not answer.').count()).toBe(1)
          expect(await page.getByText('You are not logged in').count()).toBe(0)
          expect(performance.now() - started).toBeLessThan(PAGE_WITHIN_MS)
        }
      } finally {
        await system.front.open()
      }
      await until(RECOVERS_WITHIN_MS, async () => {
        await home(page)
        return (await statuses(page)).join() === accepted.join()
      })
      expect(await headline(page)).toMatch(/^Hello, /)
      expect(await renewals(system, page)).toBeGreaterThanOrEqual(1)
    },
  )

  test('logs out here and at the provider with one click', ['logout'], async () => {
    const page = await system.newPage()
    await system.logIn(page, both())
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.waitForURL(`${system.urls.webUi}/`)
    expect(await headline(page)).toBe('You are not logged in')
    await page.goto(`${system.urls.webUi}/login`)
    await system.provider.showsLogin(page)
  })

  test(
    'ends the session when the provider has ended its own (back-channel logout)',
    ['back-channel logout'],
    async () => {
      const page = await system.newPage()
      const other = await system.newPage()
      await system.logIn(page, both())
      if (lacks['scopes per user'] === undefined) await system.logIn(other, system.provider.users.onlyData)
      const tab = await page.context().newPage()
      await system.provider.endSessions?.(both(), tab)
      await until(NOTIFIED_WITHIN_MS, async () => {
        await home(page)
        return (await headline(page)) === 'You are not logged in'
      })
      if (lacks['scopes per user'] !== undefined) return
      // The session of another user is not affected.
      await home(other)
      expect(await headline(other)).toMatch(/^Hello, /)
    },
  )

  test(
    'logs in from two tabs of one browser, and a logout in one is a logout in both',
    ['logout'],
    async () => {
      const page = await system.newPage()
      await page.goto(`${system.urls.webUi}/login?returnTo=/profile`)
      const other = await page.context().newPage()
      await other.goto(`${system.urls.webUi}/login?returnTo=/decoder`)
      await system.provider.logIn(page, both())
      const returnsTo = lacks['parallel logins'] === undefined ? '/profile' : '/decoder'
      await page.waitForURL(system.urls.webUi + returnsTo)
      // The provider logs in the second tab from the session of the first, if it has sessions.
      await other.goto(`${system.urls.webUi}/login?returnTo=/decoder`)
      if (lacks.sessions !== undefined) await system.provider.logIn(other, both())
      await other.waitForURL(`${system.urls.webUi}/decoder`)
      await other.getByRole('button', { name: 'Log out' }).click()
      await other.waitForURL(`${system.urls.webUi}/`)
      await home(page)
      expect(await headline(page)).toBe('You are not logged in')
    },
  )
}

export const headline = (page: Page) => page.getByRole('heading', { level: 1 }).innerText()
export const statuses = (page: Page) => page.locator('.call .status').allInnerTexts()

/** Returns how often the access token was renewed, from the profile page. */
async function renewals(system: JourneySystem, page: Page): Promise<number> {
  await page.goto(`${system.urls.webUi}/profile`)
  const text = await page.locator('dt:has-text("Renewed") + dd').innerText()
  const [word] = text.split(' ') as [string]
  return word === 'once' ? 1 : Number(word)
}

/** Calls the first backend as curl does, with a token or without. */
export async function callBackend(
  system: JourneySystem,
  token: string | undefined,
): Promise<[status: number, error: string]> {
  const response = await fetch(`${system.urls.first}/data`, {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  })
  await response.arrayBuffer()
  return [response.status, /error="(\w+)"/.exec(response.headers.get('www-authenticate') ?? '')?.[1] ?? '']
}

async function until(milliseconds: number, isDone: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + milliseconds
  while (!(await isDone())) {
    if (performance.now() > deadline) throw new Error(`not within ${milliseconds} ms`)
    await sleep(200)
  }
}
