/** Precedes the number of an event in its data; nothing else in a stream looks like it. */
const MARK = Buffer.from('~#')
const SEQUENCE_DIGITS = 8
const STAMP_DIGITS = 16
const MARKED_BYTES = MARK.length + SEQUENCE_DIGITS + STAMP_DIGITS
/** With its ID and line breaks, an event has about 230 bytes, as in the published figures. */
const DATA_BYTES = 200

/** Returns microseconds on the clock that all processes of a machine share. */
export const now = (): number => Number(process.hrtime.bigint() / 1000n)

export const markedData = (sequence: number): string =>
  `~#${String(sequence).padStart(SEQUENCE_DIGITS, '0')}${String(now()).padStart(STAMP_DIGITS, '0')}`.padEnd(
    DATA_BYTES,
    'x',
  )

/** Finds the events in the chunks of one stream without parsing any format, so the cost is the same for all contestants. */
export class MarkFinder {
  #rest: Buffer | undefined

  find(chunk: Buffer, found: (sequence: number, bytes: Buffer, stampAt: number) => void): void {
    const bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk
    this.#rest = undefined
    let from = 0
    for (;;) {
      const at = bytes.indexOf(MARK, from)
      if (at === -1) {
        // The mark may be split between two chunks.
        if (bytes.at(-1) === MARK[0]) this.#rest = Buffer.from(MARK.subarray(0, 1))
        return
      }
      if (at + MARKED_BYTES > bytes.length) {
        this.#rest = Buffer.from(bytes.subarray(at))
        return
      }
      const digits = at + MARK.length
      found(readDigits(bytes, digits, SEQUENCE_DIGITS), bytes, digits + SEQUENCE_DIGITS)
      from = at + MARKED_BYTES
    }
  }
}

export const readStamp = (bytes: Buffer, at: number): number => readDigits(bytes, at, STAMP_DIGITS)

function readDigits(bytes: Buffer, at: number, count: number): number {
  let value = 0
  for (let index = at; index < at + count; index += 1) value = value * 10 + (bytes[index] as number) - 48
  return value
}
