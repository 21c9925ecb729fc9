import http, { type IncomingMessage } from 'node:http'
import { parseSetCookie } from 'cookie'

export interface Visit {
  readonly status: number
  readonly headers: Headers
  readonly body: string
  /** The final URL, after redirects. */
  readonly url: string
}

/**
 * A minimal browser for tests: stores cookies (by name, for every port, as browsers do for localhost), follows
 * redirects, and sends the headers that browsers send.
 */
export class UserAgent {
  readonly cookies = new Map<string, string>()
  /** Each `Set-Cookie` header as received. */
  readonly setCookies: string[] = []

  /** Copies the cookies of another browser: a second tab, or an attacker who has stolen them. */
  with(cookies: ReadonlyMap<string, string>): this {
    for (const [name, value] of cookies) this.cookies.set(name, value)
    return this
  }

  /** Follows a link. */
  visit(url: string, headers: Record<string, string> = {}): Promise<Visit> {
    return this.request('GET', url, {
      accept: 'text/html',
      'sec-fetch-site': 'none',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
      ...headers,
    })
  }

  /** Submits a form of a page of the same origin. */
  submit(url: string, fields: Record<string, string>, headers: Record<string, string> = {}): Promise<Visit> {
    return this.request(
      'POST',
      url,
      {
        accept: 'text/html',
        origin: new URL(url).origin,
        'sec-fetch-site': 'same-origin',
        'sec-fetch-mode': 'navigate',
        'sec-fetch-dest': 'document',
        'content-type': 'application/x-www-form-urlencoded',
        ...headers,
      },
      new URLSearchParams(fields).toString(),
    )
  }

  /** Sends one request without following redirects. */
  async step(
    method: string,
    url: string,
    headers: Record<string, string> = {},
    body?: string,
  ): Promise<Visit> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    // Not fetch, which sets the `Sec-Fetch-` headers itself.
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      http
        .request(url, { method, headers: { ...headers, ...(cookie === '' ? {} : { cookie }) } }, resolve)
        .on('error', reject)
        .end(body)
    })
    let text = ''
    for await (const chunk of answer.setEncoding('utf8')) text += chunk
    for (const line of answer.headers['set-cookie'] ?? []) {
      this.setCookies.push(line)
      const { name, value, maxAge, expires } = parseSetCookie(line)
      const over =
        maxAge === 0 || (maxAge === undefined && expires !== undefined && expires.getTime() <= Date.now())
      if (over || value === undefined) this.cookies.delete(name)
      else this.cookies.set(name, value)
    }
    const received = new Headers()
    for (const [name, value] of Object.entries(answer.headers)) received.set(name, String(value))
    return { status: answer.statusCode ?? 0, headers: received, body: text, url }
  }

  async request(method: string, url: string, headers: Record<string, string>, body?: string): Promise<Visit> {
    let visit = await this.step(method, url, headers, body)
    for (let hops = 0; visit.headers.has('location') && hops < 10; hops += 1) {
      const next = new URL(visit.headers.get('location') as string, visit.url).href
      const { origin: _origin, 'content-type': _type, ...rest } = headers
      visit = await this.step('GET', next, rest)
    }
    return visit
  }
}

/** Returns the value of a hidden field in a page's form. */
export function hiddenField(page: string, name: string): string {
  const match = new RegExp(`name="${name}" value="([^"]*)"`).exec(page)
  if (!match) throw new Error(`The page has no field named ${name}.`)
  return match[1] as string
}
