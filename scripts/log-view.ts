import { type Paint, paintWith, readableLine } from '@hallpass/service-kit/readable-log'
import { escapeForTerminal } from '@hallpass/untrusted/terminal'

/** Colors that are distinguishable on dark and light terminals, assigned to the services in turn. */
const COLOURS = [36, 33, 35, 32, 34, 96, 93, 95, 92, 94]
/** A blank as wide as a time, for lines without one. */
const NO_TIME = ' '.repeat(12)

/** Formats the services' JSON log lines for reading: time, service, event. */
export class LogView {
  readonly paint: Paint
  readonly #width: number
  readonly #order: readonly string[]

  constructor(services: readonly string[], colours: boolean) {
    this.#order = services
    this.paint = paintWith(colours)
    this.#width = Math.max(...services.map((name) => name.length))
  }

  line(service: string, text: string): string {
    const colour = COLOURS[this.#order.indexOf(service) % COLOURS.length] ?? 37
    const prefix = this.paint(service.padEnd(this.#width), colour)
    const readable = readableLine(text, this.paint)
    if (!readable) return `${NO_TIME} ${prefix}  ${escapeForTerminal(text)}`
    return `${this.paint(readable.time, 90)} ${prefix}  ${readable.text}`
  }
}
