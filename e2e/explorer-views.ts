import { expect } from '@jest/globals'
import type { Page } from 'playwright-core'

/** Each live view, and how a person uses it: what is done is seen. */
export const VIEWS: readonly [string, (view: Page) => Promise<void>][] = [
  [
    'keys',
    async (view) => {
      const card = view.locator('[data-key-id="servicea"]')
      const before = await card.locator('[data-state="published"] .name').innerText()
      await view.getByRole('button', { name: 'Rotate servicea' }).click()
      // The key that was published signs now, and verifiers know it since before.
      await card.locator('[data-state="signing"] .name', { hasText: before }).waitFor()
      await view.getByRole('region', { name: 'The key set' }).getByText(before).waitFor()
    },
  ],
  [
    'streams',
    async (view) => {
      await view.getByRole('button', { name: /^Open one/ }).click()
      const row = view.getByRole('row', { name: /\/events/ })
      await row
        .getByText(/challenged|open/)
        .first()
        .waitFor()
      await row.getByRole('button', { name: /^Revoke/ }).click()
      await view.getByRole('region', { name: 'Ended streams' }).getByText('token_revoked').first().waitFor()
    },
  ],
  [
    'token-cache',
    async (view) => {
      await view.getByRole('textbox', { name: 'User' }).fill('ada')
      await view.getByRole('button', { name: /^Send 10/ }).click()
      await view.getByRole('row', { name: /ada:explorer jti=/ }).waitFor()
      const calls = await view.locator('[data-figure="issuerCalls"]').allInnerTexts()
      expect(calls.length).toBe(2)
      await view.getByRole('button', { name: 'Block the user' }).click()
      await view
        .getByRole('row', { name: /^ada.* blocked/ })
        .first()
        .waitFor()
      await view.getByRole('button', { name: 'Lift the block of the user' }).click()
      await view.getByRole('row', { name: /^ada.* blocked/ }).waitFor({ state: 'detached' })
    },
  ],
  [
    'identities',
    async (view) => {
      const authorities = view.getByRole('region', { name: 'Authorities for x509' })
      await authorities.getByText('active').waitFor()
      await view.getByRole('button', { name: 'Rotate the x509 authority' }).click()
      await authorities.getByText('prepared').waitFor()
      await view.getByRole('button', { name: 'Revoke stranger' }).click()
      await view.getByRole('button', { name: 'Restore stranger' }).click()
      await view.getByRole('button', { name: 'Revoke stranger' }).waitFor()
    },
  ],
  [
    'numbers',
    async (view) => {
      await view.getByRole('button', { name: /^Measure/ }).click()
      await view.getByText(/^Measured here/).waitFor({ timeout: 20_000 })
      const row = view.getByRole('row', { name: /^Issuer calls a request/ })
      expect(await row.getByRole('cell').allInnerTexts()).toEqual(['2', '4', '0', '0'])
      expect(
        await view
          .getByRole('row', { name: /^Wrong answers/ })
          .getByRole('cell')
          .allInnerTexts(),
      ).toEqual(['0', '0', '0', '0'])
    },
  ],
]
