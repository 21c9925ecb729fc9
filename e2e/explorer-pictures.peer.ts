import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describeWith } from '@hallpass/service-kit/testing'
import { afterAll, beforeAll, it } from '@jest/globals'
import type { Page } from 'playwright-core'
import { startTestSuite, type TestSuite } from '../scripts/test-suite.ts'
import { useBrowser } from './browser.ts'
import { ExplorerPage } from './explorer-page.ts'

const root = dirname(import.meta.dirname)
/** The size of the README's pictures: large enough to read, small enough for a repository. */
const PICTURE = { width: 1120, height: 640 }
const MARGIN = 24

/** Takes the three pictures of the README from the running suite; writes them if PICTURES=1. */
describeWith('chromium', 'apt-get install chromium')('pictures of the explorer', () => {
  const browser = useBrowser()
  let suite: TestSuite
  beforeAll(async () => {
    suite = await startTestSuite(root)
  }, 60_000)
  afterAll(() => suite?.stop())

  it('show a rejection, a stream and the numbers', async () => {
    const page = await browser.newPage({ viewport: PICTURE })
    const explorer = await ExplorerPage.open(page, suite)
    // The first runs of a process are slower, so only the last is shown.
    for (let round = 0; round < 3; round += 1) await explorer.run(3, 'tampered')
    await explorer.hop({ verdict: 'refused' }).waitFor()
    await writePicture(page, 'explorer-refusal', '#explorer')
    await explorer.run(7)
    await explorer.hop({ kind: 'event', path: 'end' }).waitFor()
    await writePicture(page, 'explorer-stream', '#explorer')
    await page.goto(`${suite.url('web-ui')}/numbers`)
    await page.getByRole('button', { name: /^Measure/ }).click()
    await page.getByText(/^Measured on this machine/).waitFor({ timeout: 60_000 })
    await writePicture(page, 'explorer-numbers', '#live')
  }, 180_000)
})

/** Writes the upper part of an element as WebP, encoded by the browser. */
async function writePicture(page: Page, name: string, part: string): Promise<void> {
  const box = await page.locator(part).boundingBox()
  const top = (box?.y ?? 0) + Number(await page.evaluate('scrollY'))
  const clip = { x: 0, y: Math.max(0, top - MARGIN), width: PICTURE.width, height: PICTURE.height }
  const png = (await page.screenshot({ fullPage: true, clip })).toString('base64')
  const canvas = await page.context().newPage()
  const webp = (await canvas.evaluate(`(async () => {
    const image = new Image()
    image.src = 'data:image/png;base64,${png}'
    await image.decode()
    const canvas = document.createElement('canvas')
    canvas.width = image.width
    canvas.height = image.height
    canvas.getContext('2d').drawImage(image, 0, 0)
    return canvas.toDataURL('image/webp', 0.8).split(',')[1]
  })()`)) as string
  await canvas.close()
  if (process.env.PICTURES === '1')
    await writeFile(join(root, 'docs/pictures', `${name}.webp`), Buffer.from(webp, 'base64'))
}
