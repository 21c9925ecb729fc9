/** Returns a function that writes an event, and answers the first challenge. */
export function recorder({ STREAM_URL, ANSWER_URL, ANSWER_TOKEN }) {
  let handle
  let token = ANSWER_TOKEN
  const write = (record) => process.stdout.write(`${JSON.stringify(record)}\n`)

  async function answer() {
    const headers = {
      authorization: `Bearer ${token}`,
      'content-type': 'application/x-challenge-response',
      'stream-handle': handle,
    }
    token = undefined
    const { status } = await fetch(ANSWER_URL, { method: 'POST', headers })
    write({ answered: status })
  }

  return {
    url: STREAM_URL,
    types: ['message', 'update', 'stream', 'challenge', 'gap', 'end'],
    async event(event, data, id) {
      write({ event, data, id })
      if (event === 'stream') handle = JSON.parse(data).handle
      if (event === 'challenge' && token) await answer()
    },
    error: (text) => write({ error: text }),
  }
}
