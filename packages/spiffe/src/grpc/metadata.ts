/** The metadata of a call: names in lower case, every value that was sent, in order. */
export class Metadata {
  readonly #values: ReadonlyMap<string, readonly string[]>

  constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values
  }

  /** From the header list of HTTP/2 as it came over the wire: name, value, name, value … */
  static ofRawHeaders(raw: readonly string[]): Metadata {
    const values = new Map<string, string[]>()
    for (let index = 0; index + 1 < raw.length; index += 2) {
      const name = (raw[index] as string).toLowerCase()
      if (name.startsWith(':')) continue
      const earlier = values.get(name)
      if (earlier) earlier.push(raw[index + 1] as string)
      else values.set(name, [raw[index + 1] as string])
    }
    return new Metadata(values)
  }

  /** All values of a name: a caller that looks at the first one alone can be told two things at once. */
  getAll(name: string): readonly string[] {
    return this.#values.get(name.toLowerCase()) ?? []
  }

  get(name: string): string | undefined {
    return this.getAll(name)[0]
  }
}
