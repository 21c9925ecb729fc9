/** Calls `receive` with each non-empty line of a stream, including a last line without a line break. */
export function forEachLine(stream: NodeJS.ReadableStream, receive: (line: string) => void) {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.trim()) receive(line)
  })
  stream.on('end', () => {
    if (rest.trim()) receive(rest)
  })
}
