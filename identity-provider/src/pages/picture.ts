import { createHash } from 'node:crypto'
import { html, type Markup } from '@hallpass/pages'
import type { User } from '../users.ts'

/** Returns an SVG with a user's initials on a background color derived from the user's ID. */
export function picture({ id, name }: User): Markup {
  const hue = createHash('sha256').update(id).digest().readUInt16BE(0) % 360
  const initials = name
    .split(/\s+/)
    .map((word) => [...word][0] ?? '')
    .slice(0, 2)
    .join('')
    .toUpperCase()
  return html`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 88 88" width="88" height="88">
  <rect width="88" height="88" fill="hsl(${hue} 45% 38%)"/>
  <circle cx="74" cy="10" r="30" fill="hsl(${(hue + 40) % 360} 60% 55% / .55)"/>
  <text x="44" y="46" fill="#fff" font-family="Geist, system-ui, sans-serif" font-size="34" font-weight="600" text-anchor="middle" dominant-baseline="central">${initials}</text>
</svg>`
}
