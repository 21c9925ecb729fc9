import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AxeResults } from 'axe-core'
import type { Page } from 'playwright-core'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Without the list of passed rules and without preloading style sheets, which takes a third of the time. */
const OPTIONS = `resultTypes: ['violations'], preload: false`
/** All rules in light mode; only the contrast in dark mode, which changes only colors. */
const RUNS = {
  light: `axe.run({ ${OPTIONS} })`,
  dark: `axe.run({ ${OPTIONS}, runOnly: ['color-contrast'] })`,
} as const

/** Returns axe's serious and critical findings for the current page, in light and dark mode. */
export async function seriousFindings(page: Page): Promise<string[]> {
  const findings: string[] = []
  // Evaluated by the debugger, to which the content security policy does not apply.
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
