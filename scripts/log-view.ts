/** Colours that are told apart on a dark and on a light terminal, one per service in turn. */
const COLOURS = [36, 33, 35, 32, 34, 96, 93, 95, 92, 94]
const LEVELS: Readonly<Record<number, string>> = { 40: 'warning', 50: 'error', 60: 'fatal' }
/** Fields that the line shows by itself, or that only a machine wants. */
const SHOWN = new Set([
  'level',
  'time',
  'service',
  'msg',
  'name',
  'method',
  'path',
  'status',
  'ms',
  'requestId',
  'traceId',
  'err',
])

/** Turns the services' JSON lines into one stream for a person: time, service, what happened. */
export class LogView {
  readonly #colours: boolean
  readonly #width: number
  readonly #order: readonly string[]

  constructor(services: readonly string[], colours: boolean) {
    this.#order = services
    this.#colours = colours
    this.#width = Math.max(...services.map((name) => name.length))
  }

  line(service: string, text: string): string {
    const colour = COLOURS[this.#order.indexOf(service) % COLOURS.length] ?? 37
    const prefix = this.paint(service.padEnd(this.#width), colour)
    const entry = parse(text)
    if (!entry) return `${' '.repeat(12)} ${prefix}  ${text}`
    const time = String(entry.time ?? '').slice(11, 23)
    return `${this.paint(time, 90)} ${prefix}  ${this.#describe(entry)}`
  }

  paint(text: string, colour: number): string {
    return this.#colours ? `\x1b[${colour}m${text}\x1b[0m` : text
  }

  #describe(entry: Record<string, unknown>): string {
    const level = LEVELS[entry.level as number]
    const rest = Object.entries(entry)
      .filter(([name]) => !SHOWN.has(name))
      .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    const error = entry.err as { message?: string } | undefined
    if (error?.message) rest.push(error.message)
    const details = rest.length > 0 ? this.paint(` ${rest.join(' ')}`, 90) : ''
    if (entry.msg === 'request') {
      const status = Number(entry.status)
      const painted = this.paint(String(status), status >= 500 ? 31 : status >= 400 ? 33 : 32)
      return `${entry.method} ${entry.path} ${painted} ${entry.ms} ms${details}`
    }
    const message = String(entry.msg ?? '')
    return `${level ? this.paint(`${level}: `, 31) : ''}${message}${details}`
  }
}

function parse(text: string): Record<string, unknown> | undefined {
  if (!text.startsWith('{')) return undefined
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return undefined
  }
}
