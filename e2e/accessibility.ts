import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AxeResults } from 'axe-core'
import type { Page } from 'playwright-core'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Of what passes nobody wants to read, and every style sheet is of the page's own origin: a third of the time. */
const OPTIONS = `resultTypes: ['violations'], preload: false`
/** Night changes colours and nothing else. */
const RUNS = {
  light: `axe.run({ ${OPTIONS} })`,
  dark: `axe.run({ ${OPTIONS}, runOnly: ['color-contrast'] })`,
} as const

/** What axe finds wrong with the page as it stands, by day and by night; minor and moderate findings are left out. */
export async function seriousFindings(page: Page): Promise<string[]> {
  const findings: string[] = []
  // By the debugger, which no content security policy stops.
  await page.evaluate(AXE)
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    const results = (await page.evaluate(RUNS[colorScheme])) as AxeResults
    for (const { id, impact, nodes } of results.violations)
      if (impact === 'serious' || impact === 'critical')
        findings.push(`${colorScheme}: ${id} at ${nodes.map(({ target }) => target.join(' ')).join(', ')}`)
  }
  await page.emulateMedia({ colorScheme: 'light' })
  return findings
}
