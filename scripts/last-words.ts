/** The beginning of an error that Node prints; its stack and its members follow. */
const ERROR = /^\w*Error( \[\w+\])?: /
/** What a service says to people about its start begins with its own name, which two of one kind share. */
const OWN_NAME = /^[a-z-]+: /
/** Pino's number for what ends a process. */
const FATAL = '"level":60'

/** What a process said last about its end, of all that it has written. */
export class LastWords {
  #text = ''

  get text(): string {
    return this.#text
  }

  /** Takes a line of standard error; true when the service says in it why it cannot start. */
  hear(line: string): boolean {
    const problem = /^\s+- (.*)/.exec(line)?.[1]
    if (problem !== undefined) {
      // The problems of a configuration, each on a line of its own.
      this.#text += `${this.#text.endsWith(':') ? '' : ';'} ${problem}`
      return true
    }
    if (/^(\s|Node\.js v|[}\])]|$)/.test(line) || ERROR.test(this.#text)) return false
    this.#text = line.replace(OWN_NAME, '')
    return OWN_NAME.test(line)
  }

  /** Takes a line of the log; only a fatal one is about the end. */
  hearLog(line: string): false {
    if (!line.includes(FATAL)) return false
    try {
      const { msg, err } = JSON.parse(line) as { msg?: string; err?: { message?: string } }
      this.#text = err?.message ?? msg ?? this.#text
    } catch {
      // No JSON: no line of a log.
    }
    return false
  }
}
