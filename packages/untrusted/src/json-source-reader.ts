import { JsonError } from './json-error.ts'
import { endOfString } from './json-members.ts'
import { isExact, JsonNumber } from './json-number.ts'

/** The number of characters of a number or name that an error quotes. */
const MAX_QUOTED = 40

/** Parses text that JSON.parse has accepted, to see what that hides: the spelling of numbers and duplicate names. */
export class SourceReader {
  readonly #text: string
  readonly #inexact: 'reject' | 'keep'
  readonly #path: (string | number)[] = []
  #at = 0

  /** @param text valid JSON; @param inexact what to do with a number that JavaScript would change */
  constructor(text: string, inexact: 'reject' | 'keep') {
    this.#text = text
    this.#inexact = inexact
  }

  /** @throws {JsonError} `duplicate_member`, and `inexact_number` in mode `reject` */
  read(): unknown {
    const first = this.#skipSpace()
    if (first === '{') return this.#object()
    if (first === '[') return this.#array()
    if (first === '"') return this.#string()
    const start = this.#at
    while (this.#at < this.#text.length && !/[\s,\]}]/.test(this.#text[this.#at] as string)) this.#at += 1
    const source = this.#text.slice(start, this.#at)
    return /^[tfn]/.test(source) ? JSON.parse(source) : this.#number(source)
  }

  #number(source: string): unknown {
    if (this.#inexact === 'reject') {
      if (isExact(source)) return Number(source)
      throw new JsonError(
        'inexact_number',
        `${this.#where()}: ${shorten(source)} cannot be represented exactly; send it as a string.`,
      )
    }
    const number = Number(source)
    return !Object.is(number, -0) && String(number) === source ? number : new JsonNumber(source)
  }

  #object(): unknown {
    const members = new Map<string, unknown>()
    this.#at += 1
    while (this.#skipSpace() !== '}') {
      if (this.#text[this.#at] === ',') this.#at += 1
      this.#skipSpace()
      const name = this.#string()
      this.#path.push(name)
      if (members.has(name))
        throw new JsonError('duplicate_member', `${this.#where()} occurs twice; send it once.`)
      this.#skipSpace()
      this.#at += 1
      members.set(name, this.read())
      this.#path.pop()
    }
    this.#at += 1
    // Defines members instead of assigning them, so that __proto__ is an ordinary member.
    return Object.fromEntries(members)
  }

  #array(): unknown {
    const items: unknown[] = []
    this.#at += 1
    while (this.#skipSpace() !== ']') {
      if (this.#text[this.#at] === ',') this.#at += 1
      this.#path.push(items.length)
      items.push(this.read())
      this.#path.pop()
    }
    this.#at += 1
    return items
  }

  #string(): string {
    const start = this.#at
    this.#at = endOfString(this.#text, start) + 1
    return JSON.parse(this.#text.slice(start, this.#at)) as string
  }

  /** Skips white space and returns the next character. */
  #skipSpace(): string | undefined {
    while (/\s/.test(this.#text[this.#at] ?? '')) this.#at += 1
    return this.#text[this.#at]
  }

  /** Returns the current path, e.g. `Member user.ids[2]`; unusual names are in brackets. */
  #where(): string {
    if (this.#path.length === 0) return 'The value'
    const path = this.#path.map((step, index) => {
      if (typeof step === 'number') return `[${step}]`
      const name = shorten(step)
      if (!/^[\w$:/-]+$/.test(name.replace('…', ''))) return `[${JSON.stringify(name)}]`
      return index === 0 ? name : `.${name}`
    })
    return `Member ${path.join('')}`
  }
}

const shorten = (text: string) => (text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text)
