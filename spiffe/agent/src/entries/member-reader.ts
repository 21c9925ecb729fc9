import { parseSpiffeId, type SpiffeId, SpiffeIdError } from '@hallpass/spiffe'

/** Reads one object of the file and collects its mistakes, including unknown members. */
export class MemberReader {
  where: string
  readonly #members: Readonly<Record<string, unknown>>
  readonly #problems: string[]
  readonly #read = new Set<string>()

  constructor(value: unknown, where: string, problems: string[]) {
    this.where = where
    this.#problems = problems
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    if (!isObject) problems.push(`${where} is not a set of "name: value" lines`)
    this.#members = isObject ? (value as Record<string, unknown>) : {}
  }

  list(name: string): readonly unknown[] {
    const value = this.#take(name) ?? []
    if (Array.isArray(value)) return value
    this.#wrong(name, 'must be a list')
    return []
  }

  text(name: string, pattern: RegExp, fallback?: string): string | undefined {
    const value = this.#take(name) ?? fallback
    if (value === fallback && fallback !== undefined) return fallback || undefined
    if (typeof value === 'string' && pattern.test(value)) return value
    this.#wrong(name, value === undefined ? 'is required' : `is not valid: ${JSON.stringify(value)}`)
    return undefined
  }

  texts(name: string, pattern: RegExp): string[] {
    const values = this.list(name)
    for (const value of values)
      if (typeof value !== 'string' || !pattern.test(value))
        this.#wrong(name, `contains ${JSON.stringify(value)}, which is not valid`)
    return values.map(String)
  }

  spiffeId(name: string, optional = false): SpiffeId | undefined {
    const value = this.#take(name)
    if (value === undefined && optional) return undefined
    try {
      return parseSpiffeId(String(value ?? ''))
    } catch (error) {
      if (!(error instanceof SpiffeIdError)) throw error
      this.#wrong(name, `is not a SPIFFE ID: ${error.message}`)
      return undefined
    }
  }

  integer(name: string, { min, max }: { min: number; max: number }): number | undefined {
    const value = this.#take(name)
    if (
      value === undefined ||
      (Number.isInteger(value) && (value as number) >= min && (value as number) <= max)
    )
      return value as number | undefined
    this.#wrong(name, `must be an integer from ${min} to ${max}`)
    return undefined
  }

  flag(name: string): boolean {
    const value = this.#take(name) ?? false
    if (typeof value !== 'boolean') this.#wrong(name, 'must be true or false')
    return value === true
  }

  refuseOthers() {
    for (const name of Object.keys(this.#members))
      if (!this.#read.has(name)) this.#wrong(name, 'is not a known member')
  }

  #take(name: string): unknown {
    this.#read.add(name)
    return this.#members[name] ?? undefined
  }

  #wrong(name: string, problem: string) {
    this.#problems.push(`${this.where}: ${name} ${problem}`)
  }
}
