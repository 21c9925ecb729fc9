/** The metadata of a call: lower-case names, with all values in the order sent. */
export class Metadata {
  readonly #values: ReadonlyMap<string, readonly string[]>

  constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values
  }

  /** Reads the raw HTTP/2 header list: name, value, name, value … */
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

  /** Returns all values of a name. Security checks must use all, because a second value could contradict the first. */
  getAll(name: string): readonly string[] {
    return this.#values.get(name.toLowerCase()) ?? []
  }

  get(name: string): string | undefined {
    return this.getAll(name)[0]
  }
}
