import { describeWith } from '@hallpass/service-kit/testing'
import { expect, it } from '@jest/globals'
import { takeScreenshots, useBrowser } from './browser.ts'
import { useLoginSystem } from './login-system.ts'

describeWith('chromium', 'apt-get install chromium')('the web UI in a browser', () => {
  const browser = useBrowser()
  const system = useLoginSystem()

  it('logs in, shows the profile and both backends, and logs out', async () => {
    const page = await browser.newPage()
    await page.goto(system.urls.webUi)
    await takeScreenshots(page, 'home-stranger')
    await page.getByRole('link', { name: 'Log in' }).click()
    await takeScreenshots(page, 'sign-in')
    await page.getByRole('button', { name: /Ada Okafor/ }).click()
    await takeScreenshots(page, 'home')
    await page.getByRole('link', { name: 'Profile' }).click()
    await takeScreenshots(page, 'profile')
    await page.getByRole('button', { name: 'Log out' }).click()
    await takeScreenshots(page, 'sign-out')
    await page.getByRole('button', { name: 'Sign out' }).click()
    expect(system.logged()).not.toContain('eyJ')
  })
})
