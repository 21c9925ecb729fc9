import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'

export interface Answer {
  readonly status: number
  readonly text: string
}

export interface AskOptions {
  readonly method?: string
  /** How long it may be silent. */
  readonly timeoutMs: number
  /** The authority that must have signed its certificate, as PEM. */
  readonly ca?: string | undefined
}

/** Asks a service of the suite. Node's fetch would do, but loading it takes the launcher a tenth of its time. */
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
