/** The first line of an error that Node prints, before its stack and members. */
const ERROR = /^\w*Error( \[\w+\])?: /
/** A service's message about its failed start begins with its name. */
const OWN_NAME = /^[a-z-]+: /
/** Pino's level of a fatal log line. */
const FATAL = '"level":60'

/** Extracts from a process's output the last message about its end. */
export class LastWords {
  #text = ''

  get text(): string {
    return this.#text
  }

  /** Reads a line of standard error. Returns true if it states why the service cannot start. */
  hear(line: string): boolean {
    const problem = /^\s+- (.*)/.exec(line)?.[1]
    if (problem !== undefined) {
      // Problems of a configuration are on one line each.
      this.#text += `${this.#text.endsWith(':') ? '' : ';'} ${problem}`
      return true
    }
    if (/^(\s|Node\.js v|[}\])]|$)/.test(line) || ERROR.test(this.#text)) return false
    this.#text = line.replace(OWN_NAME, '')
    return OWN_NAME.test(line)
  }

  /** Reads a line of the log. Only a fatal line is about the end. */
  hearLog(line: string): false {
    if (!line.includes(FATAL)) return false
    try {
      const { msg, err } = JSON.parse(line) as { msg?: string; err?: { message?: string } }
      this.#text = err?.message ?? msg ?? this.#text
    } catch {
      // Not JSON, so not a log line.
    }
    return false
  }
}
