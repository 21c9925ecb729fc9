export interface Measured {
  readonly count: number
  readonly startMs: number
  readonly megabytes: number
  readonly p50: number
  readonly p99: number
}

const PANEL = { width: 220, height: 150, left: 46, top: 34, gap: 24 }

/** Draws the start, the memory and the latency of issuers over the number of their key IDs, as an SVG. */
export function plot(results: readonly Measured[], where: string): string {
  const panels = [
    panel('start (ms)', results, [({ startMs }) => startMs]),
    panel('memory (MB)', results, [({ megabytes }) => megabytes]),
    panel('POST /issueToken (ms): p50, p99', results, [({ p50 }) => p50, ({ p99 }) => p99]),
  ]
  const step = PANEL.left + PANEL.width + PANEL.gap
  const width = step * panels.length
  const height = PANEL.top + PANEL.height + 52
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="An issuer with 10 to 10,000 key IDs" font-family="sans-serif" font-size="11" fill="#333">
<rect width="${width}" height="${height}" fill="#fff"/>
${panels.map((body, index) => `<g transform="translate(${index * step + PANEL.left} ${PANEL.top})">\n${body}\n</g>`).join('\n')}
<text x="${PANEL.left}" y="${height - 8}">key IDs; ${escaped(where)}</text>
</svg>
`
}

function panel(
  title: string,
  results: readonly Measured[],
  values: readonly ((result: Measured) => number)[],
): string {
  const top = niceAbove(Math.max(...results.flatMap((result) => values.map((value) => value(result)))))
  const x = (index: number) => round((index * PANEL.width) / Math.max(1, results.length - 1))
  const y = (value: number) => round(PANEL.height * (1 - value / top))
  const grid = [0, 0.5, 1].map((share) => {
    const at = y(top * share)
    return `<path d="M0 ${at}H${PANEL.width}" stroke="#ddd"/><text x="-6" y="${at + 4}" text-anchor="end">${round(top * share)}</text>`
  })
  const lines = values.map((value, line) => {
    const points = results.map((result, index) => `${x(index)},${y(value(result))}`)
    const colour = ['#1f5fa8', '#b3541e'][line]
    const dots = results.map(
      (result, index) =>
        `<circle cx="${x(index)}" cy="${y(value(result))}" r="3" fill="${colour}"/><text x="${x(index)}" y="${y(value(result)) - 7}" text-anchor="middle">${round(value(result))}</text>`,
    )
    return `<polyline points="${points.join(' ')}" fill="none" stroke="${colour}" stroke-width="1.5"/>${dots.join('')}`
  })
  const ticks = results.map(
    ({ count }, index) =>
      `<text x="${x(index)}" y="${PANEL.height + 16}" text-anchor="middle">${count.toLocaleString('en')}</text>`,
  )
  const heading = `<text x="0" y="-16" font-weight="bold">${escaped(title)}</text>`
  return [heading, ...grid, ...lines, ...ticks].join('\n')
}

/** Returns the next of 1, 2, 5, 10, … that leaves room for the labels. */
function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value * 1.2))
  return ([1, 2, 5, 10].find((factor) => factor * power >= value * 1.2) as number) * power
}

const round = (value: number) => Math.round(value * 10) / 10

const escaped = (text: string) => text.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`)
