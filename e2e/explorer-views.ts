import { expect } from '@jest/globals'
import type { Page, Request } from 'playwright-core'
import { seriousFindings } from './accessibility.ts'

/** Each live view, with a test of its actions and their visible effect. */
export const VIEWS: readonly [string, (view: Page) => Promise<void>][] = [
  [
    'keys',
    async (view) => {
      const card = view.locator('[data-key-id="servicea"]')
      const before = await card.locator('[data-state="signing"] .name').innerText()
      await view.getByRole('button', { name: 'Rotate servicea' }).click()
      await confirm(view, 'Rotate servicea?', 'Rotate')
      // The previous key still verifies, and the next one is already published.
      await card.locator('[data-state="retired"] .name', { hasText: before }).waitFor()
      const next = await card.locator('[data-state="published"] .name').innerText()
      const keySet = view.getByRole('region', { name: 'The key set' })
      for (const kid of [before, next]) await keySet.getByText(kid).waitFor()
    },
  ],
  [
    'streams',
    async (view) => {
      await view.getByRole('button', { name: /^Open a stream/ }).click()
      const row = view.getByRole('row', { name: /\/events/ })
      await row
        .getByText(/challenged|open/)
        .first()
        .waitFor()
      await row.getByRole('button', { name: /^Revoke/ }).click()
      // The stream lives for seconds; the same dialog is examined in the other views.
      await confirm(view, /^Revoke every token of /, 'Revoke', { examine: false })
      await view.getByRole('region', { name: 'Ended streams' }).getByText('token_revoked').first().waitFor()
    },
  ],
  [
    'token-cache',
    async (view) => {
      await view.getByRole('textbox', { name: 'User' }).fill('ada')
      await view.getByRole('button', { name: /^Send 10/ }).click()
      await view.getByRole('row', { name: /ada:explorer jti=/ }).waitFor()
      await view
        .getByText(/^10 requests as ada were answered/)
        .first()
        .waitFor()
      const calls = await view.locator('[data-figure="issuerCalls"]').allInnerTexts()
      expect(calls.length).toBe(2)
      await view.getByRole('button', { name: 'Block the user', exact: true }).click()
      await confirm(view, 'Block ada?', 'Block')
      await view
        .getByRole('row', { name: /^ada.* blocked/ })
        .first()
        .waitFor()
      await view.getByRole('button', { name: 'Unblock the user' }).click()
      await view.getByRole('row', { name: /^ada.* blocked/ }).waitFor({ state: 'detached' })
    },
  ],
  [
    'identities',
    async (view) => {
      const authorities = view.getByRole('region', { name: 'Authorities for x509' })
      await authorities.getByText('active').waitFor()
      await view.getByRole('button', { name: 'Rotate the x509 authority' }).click()
      await confirm(view, 'Rotate the x509 authority?', 'Rotate')
      await authorities.getByText('prepared').waitFor()
      await view.getByRole('button', { name: 'Revoke stranger' }).click()
      await confirm(view, 'Revoke stranger?', 'Revoke')
      await view.getByRole('button', { name: 'Restore stranger' }).click()
      await view.getByRole('button', { name: 'Revoke stranger' }).waitFor()
    },
  ],
  [
    'numbers',
    async (view) => {
      await view.getByRole('button', { name: /^Measure/ }).click()
      await view.getByText(/^Measured on this machine/).waitFor({ timeout: 20_000 })
      const row = view.getByRole('row', { name: /^Issuer calls per request/ })
      expect(await row.getByRole('cell').allInnerTexts()).toEqual(['2', '4', '0', '0'])
      expect(
        await view
          .getByRole('row', { name: /^Failed requests/ })
          .getByRole('cell')
          .allInnerTexts(),
      ).toEqual(['0', '0', '0', '0'])
    },
  ],
]

/** Tests the confirmation of an action: cancels it with Escape, then opens it again and confirms it by keyboard. */
async function confirm(
  view: Page,
  title: string | RegExp,
  label: string,
  { examine = true } = {},
): Promise<void> {
  const question = view.getByRole('alertdialog', { name: title })
  await question.waitFor()
  // A second Enter in the same place must not act.
  expect(await view.evaluate('document.activeElement.textContent')).toBe('Cancel')
  expect(await question.getByRole('paragraph').innerText()).toMatch(/\.$/)
  if (examine) expect(await seriousFindings(view)).toEqual([])
  const acted: string[] = []
  const watch = (request: Request) => {
    if (request.method() === 'POST') acted.push(request.url())
  }
  view.on('request', watch)
  await view.keyboard.press('Escape')
  // Of the element: the role is gone as soon as the dialog is closed, a moment before the page hears of it.
  await view.locator('dialog.confirm').waitFor({ state: 'detached' })
  expect(acted).toEqual([])
  view.off('request', watch)
  // The focus returns to the button, even if it was redrawn meanwhile.
  await view.keyboard.press('Enter')
  await question.waitFor()
  await view.keyboard.press('Tab')
  expect(await view.evaluate('document.activeElement.textContent')).toBe(label)
  await view.keyboard.press('Enter')
  await question.waitFor({ state: 'detached' })
}
