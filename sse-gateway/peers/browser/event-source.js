/**
 * Runs in a page, because the EventSource is the browser's own. The environment is that of the other programs, whose lines
 * are the elements of `window.records`.
 */
window.openEventSource = ({ STREAM_URL, ANSWER_URL, ANSWER_TOKEN }) => {
  const records = []
  let handle
  let token = ANSWER_TOKEN
  const source = new EventSource(STREAM_URL)
  window.records = records
  window.source = source

  async function answer() {
    const headers = {
      authorization: `Bearer ${token}`,
      'content-type': 'application/x-challenge-response',
      'stream-handle': handle,
    }
    token = undefined
    const { status } = await fetch(ANSWER_URL, { method: 'POST', headers })
    records.push({ answered: status })
  }

  for (const type of ['message', 'update', 'stream', 'challenge', 'gap', 'end'])
    source.addEventListener(type, async ({ data }) => {
      records.push({ event: type, data })
      if (type === 'stream') handle = JSON.parse(data).handle
      if (type === 'challenge' && token) await answer()
    })
  source.addEventListener('error', () => records.push({ error: 'error' }))
}
