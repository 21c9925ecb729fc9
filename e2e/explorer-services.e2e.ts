import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeWith } from '@hallpass/service-kit/testing'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import type { Page } from 'playwright-core'
import { useTestKeys } from '../scripts/test-suite.ts'
import { seriousFindings } from './accessibility.ts'
import { useBrowser } from './browser.ts'
import { type StartedSuite, startSuite } from './started-suite.ts'

describeWith('chromium', 'apt-get install chromium')('the services of the explorer', () => {
  const browser = useBrowser()
  let stateFolder: string
  let suite: StartedSuite
  let page: Page
  beforeAll(async () => {
    stateFolder = await mkdtemp(join(tmpdir(), 'hallpass-explorer-services-'))
    await useTestKeys(stateFolder)
    suite = startSuite(stateFolder, ['--free-ports', '--quiet', '--only', 'jwt-factory,service-b,web-ui'])
    const [, url] = await suite.until(/(http:\S+\/explorer)\n/)
    page = await browser.newPage()
    await page.goto(url as string)
    await page.locator('.services summary').click()
  }, 60_000)
  afterAll(async () => {
    process.kill(-(suite.launcher.pid as number), 'SIGINT')
    await suite.ended
    await rm(stateFolder, { recursive: true, force: true })
  }, 10_000)

  const row = (name: string) => page.locator(`tr[data-service="${name}"]`)
  const stateOf = async (name: string, state: string) =>
    row(name)
      .locator('.status', { hasText: new RegExp(`^${state}$`) })
      .waitFor()

  it('are shown with their state, and are accessible', async () => {
    await stateOf('jwt-factory', 'running')
    await stateOf('service-c', 'stopped')
    expect(await row('web-ui').innerText()).toContain('npx hallpass service stop web-ui')
    expect(await row('web-ui').locator('button').count()).toBe(0)
    expect(await seriousFindings(page)).toEqual([])
  }, 20_000)

  it('are stopped only after confirmation; Cancel stops nothing', async () => {
    await page.getByRole('button', { name: 'Stop jwt-factory' }).click()
    const dialog = page.getByRole('alertdialog')
    expect(await dialog.innerText()).toContain('Stop jwt-factory?')
    expect(await dialog.innerText()).toContain('It is called by service-b, service-c, service-a')
    await dialog.getByRole('button', { name: 'Cancel' }).click()
    await stateOf('jwt-factory', 'running')
  }, 20_000)

  it('stop and start, and show which services call a stopped one', async () => {
    await page.getByRole('button', { name: 'Stop jwt-factory' }).click()
    await page.getByRole('alertdialog').getByRole('button', { name: 'Stop' }).click()
    await page.getByText('jwt-factory is stopped.', { exact: true }).waitFor()
    await stateOf('jwt-factory', 'stopped')
    expect(await row('service-b').innerText()).toContain('Calls jwt-factory, which is not running.')
    expect(await page.locator('.services summary').innerText()).toContain('not running: jwt-factory')
    await page.getByRole('button', { name: 'Start jwt-factory' }).click()
    await page.getByText('jwt-factory is running.', { exact: true }).waitFor()
    await stateOf('jwt-factory', 'running')
  }, 30_000)
})
