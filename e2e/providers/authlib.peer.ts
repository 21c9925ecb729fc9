import { setTimeout as sleep } from 'node:timers/promises'
import { describeWith } from '@hallpass/service-kit/testing'
import { expect, it } from '@jest/globals'
import { authlib, oidcProviderMock } from './authlib.ts'
import { headline, testJourney } from './journey.ts'
import { useJourney } from './journey-system.ts'

const TEST_TIMEOUT_MS = 60_000

describeWith(oidcProviderMock, '.ci/install-peers providers')(
  'the web UI with Authlib’s mock provider',
  () => {
    const system = useJourney(authlib)
    testJourney(system)

    it(
      'logs out, and returns from the provider after its confirmation',
      async () => {
        const page = await system.newPage()
        await system.logIn(page, system.provider.users.both)
        await page.getByRole('button', { name: 'Log out' }).click()
        await page.getByRole('button', { name: 'End session' }).click()
        await page.waitForURL(`${system.urls.webUi}/`)
        expect(await headline(page)).toBe('You are not logged in')
      },
      TEST_TIMEOUT_MS,
    )

    it(
      'ends the session at the first refresh after the provider has forgotten it in a restart, and logs in again',
      async () => {
        const page = await system.newPage()
        await system.logIn(page, system.provider.users.both)
        await system.provider.rotateKeys?.()
        await page.goto(`${system.urls.webUi}/`)
        expect(await headline(page)).toBe('Hello, Ada Okafor')
        await sleep(system.provider.accessTokenSeconds * 1_000)
        await page.goto(`${system.urls.webUi}/`)
        expect(await headline(page)).toBe('You are not logged in')
      },
      TEST_TIMEOUT_MS,
    )
  },
)
