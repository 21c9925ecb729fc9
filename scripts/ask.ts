import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'

export interface Answer {
  readonly status: number
  readonly text: string
}

export interface AskOptions {
  readonly method?: string
  /** The longest time without data. */
  readonly timeoutMs: number
  /** The only trusted CA, as PEM. */
  readonly ca?: string | undefined
}

/** Sends a request to a service of the suite. Not with `fetch`, whose loading takes a tenth of the launcher's start. */
export async function ask(url: string, { method = 'GET', timeoutMs, ca }: AskOptions): Promise<Answer> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const options = { method, agent: false as const, timeout: timeoutMs }
    const request = url.startsWith('https:')
      ? https.request(url, { ...options, ca }, resolve)
      : http.request(url, options, resolve)
    request
      .on('error', reject)
      .on('timeout', () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)))
    request.end()
  })
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  return { status: response.statusCode ?? 0, text }
}
