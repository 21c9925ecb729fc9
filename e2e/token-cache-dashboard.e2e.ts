import { dirname } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { Page } from 'playwright-core'
import { startTestSuite, type TestSuite } from '../scripts/test-suite.ts'
import { seriousFindings } from './accessibility.ts'
import { takeScreenshots, useBrowser } from './browser.ts'

const root = dirname(import.meta.dirname)
const TIERS = [
  'jwt-factory',
  ...['api', 'auth', 'proxy1', 'proxy2', 'load-balancer'].map((tier) => `token-cache-${tier}`),
]

describe('/dashboard.html', () => {
  let suite: TestSuite
  /** `curl -H "remote-user: …" localhost:8000`: the balancer alternates between the proxies. */
  const get = (user: string, agent = 'curl/7.86.0') =>
    fetch(suite.url('token-cache-load-balancer'), {
      headers: { 'remote-user': user, 'user-agent': agent },
    })
  const browser = useBrowser()
  let page: Page
  const problems: string[] = []
  beforeAll(async () => {
    suite = await startTestSuite(root, { only: TIERS })
    page = await browser.newPage()
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type()) && !message.text().includes('404'))
        problems.push(message.text())
    })
    page.on('pageerror', (error) => problems.push(error.message))
    await page.goto(`${suite.url('token-cache-proxy1')}/dashboard.html`)
  }, 60_000)
  afterAll(async () => {
    await suite?.stop()
  })

  it('updates its figures as requests arrive', async () => {
    await page.getByText('2 proxies, sharing lmdb on this machine').waitFor()
    for (let i = 0; i < 6; i += 1) await get('user1')
    await page.locator('#tier-hits', { hasText: /^5$/ }).waitFor()
    expect(await page.locator('#tier-misses').textContent()).toBe('1')
    expect(await page.locator('#tier-issuerCalls').textContent()).toBe('1')
    expect(await page.getByRole('rowheader').allTextContents()).toEqual(['proxy1', 'proxy2'])
  }, 30_000)

  it('blocks a user with all clients, reports at how many proxies, and unblocks the user', async () => {
    await page.getByLabel('User', { exact: true }).fill('user1')
    await page.getByRole('button', { name: 'Look up user' }).click()
    await page.getByText('user1 is not blocked. Tokens: user1:curl/7.86.0').waitFor()
    const block = page.getByRole('button', { name: 'Block user', exact: true })
    const question = page.getByRole('alertdialog', { name: 'Block user1?' })
    await block.click()
    await question.waitFor()
    expect(await seriousFindings(page)).toEqual([])
    await page.keyboard.press('Enter')
    await question.waitFor({ state: 'detached' })
    // `Cancel` has the focus, so Enter changes nothing.
    expect((await get('user1')).status).toBe(200)
    await block.click()
    await question.getByRole('button', { name: 'Block' }).click()
    await page.getByText('user1, with all clients, is blocked at 2 of 2 proxies.', { exact: true }).waitFor()
    // One request to each proxy, with user agents that neither has seen.
    for (const agent of ['agent0', 'agent1']) expect((await get('user1', agent)).status).toBe(403)
    await page.getByRole('button', { name: 'Unblock user' }).click()
    await page.getByText('user1 is unblocked.').waitFor()
    expect((await get('user1')).status).toBe(200)
    await page.getByLabel('User', { exact: true }).fill('User1')
    await block.click()
    await page.getByRole('alertdialog').getByRole('button', { name: 'Block' }).click()
    await page.getByText('No token of this user is cached.').waitFor()
  }, 30_000)

  it('blocks one client by its listed key, however long, and rejects a key that does not exist', async () => {
    await get('user1', 'x'.repeat(300))
    const pairs = (await (
      await fetch(`${suite.url('token-cache-proxy1')}/api/8/http/keyvals/tokens`)
    ).json()) as object
    const key = Object.keys(pairs).find((one) => one.startsWith('user1:sha256=')) as string
    await page.getByLabel('Key', { exact: true }).fill(key)
    await page.getByRole('button', { name: 'Look up', exact: true }).click()
    await page.getByText(/user1:sha256=[\w-]{43}: jti=[\w-]{36} exp=/).waitFor()
    await page.getByRole('button', { name: 'Block', exact: true }).click()
    await page.getByRole('alertdialog').getByRole('button', { name: 'Block' }).click()
    await page.getByText(`${key} is blocked at 2 of 2 proxies.`).waitFor()
    expect((await get('user1', 'x'.repeat(300))).status).toBe(403)
    await page.getByRole('button', { name: 'Unblock', exact: true }).click()
    await page.getByText('gets a new token with its next request').waitFor()
    expect((await get('user1', 'x'.repeat(300))).status).toBe(200)
    await page.getByLabel('Key', { exact: true }).fill('nobody:<img src=x onerror=alert(1)>')
    await page.getByRole('button', { name: 'Block', exact: true }).click()
    await page.getByRole('alertdialog').getByRole('button', { name: 'Block' }).click()
    await page
      .getByText('No entry has the key nobody:<img src=x onerror=alert(1)>, so nothing was blocked.')
      .waitFor()
  }, 30_000)

  it('reports that a frozen proxy has not confirmed a block', async () => {
    const pid = suite.launcher.pid('token-cache-proxy2') as number
    process.kill(pid, 'SIGSTOP')
    try {
      await page.locator('#state', { hasText: 'proxy2 does not answer' }).waitFor()
      await page.getByLabel('User', { exact: true }).fill('user9')
      await page.getByRole('button', { name: 'Block user', exact: true }).click()
      await page.getByRole('alertdialog').getByRole('button', { name: 'Block' }).click()
      await page
        .getByText('user9, with all clients, is blocked at 1 of 2 proxies; proxy2 does not answer.')
        .waitFor()
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await page.getByText('2 proxies, sharing lmdb on this machine').waitFor()
  }, 30_000)

  it('has no accessibility violations in light and dark mode, no overflow, and no policy violations', async () => {
    await takeScreenshots(page, 'token-cache-dashboard')
    expect(await seriousFindings(page)).toEqual([])
    await page.setViewportSize({ width: 375, height: 800 })
    const overflow = await page.evaluate(
      'document.documentElement.scrollWidth - document.documentElement.clientWidth',
    )
    expect(overflow).toBe(0)
    expect(problems).toEqual([])
  }, 60_000)
})
