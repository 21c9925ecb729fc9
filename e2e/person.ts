import { expect } from '@jest/globals'

const TIMEOUT_MS = 15_000
const MAX_REDIRECTS = 15
/** Forms of a logout: the confirmation and the redirect of the web UI, and the confirmation of the provider. */
const MAX_QUESTIONS = 3

interface Seen {
  readonly url: string
  readonly status: number
  readonly text: string
}

/** A browser without JavaScript: stores cookies, follows redirects, submits forms. */
export class Person {
  readonly #cookies = new Map<string, string>()
  readonly #webUi: string

  constructor(webUi: string) {
    this.#webUi = webUi
  }

  async visit(url: string, form?: Readonly<Record<string, string>>): Promise<Seen> {
    let response = await this.#ask(url, form)
    let at = url
    for (let hops = 0; hops < MAX_REDIRECTS && response.headers.has('location'); hops += 1) {
      at = new URL(response.headers.get('location') as string, at).href
      await response.arrayBuffer()
      response = await this.#ask(at)
    }
    return { url: at, status: response.status, text: await response.text() }
  }

  /** Logs in, reads the profile, calls both backends through the web UI, and logs out. Fails at the first error. */
  async logInAndOut(user: string, name: string): Promise<void> {
    const login = await this.visit(`${this.#webUi}/login`)
    expect([login.status, login.url]).toEqual([200, expect.stringContaining('/interaction/')])
    const home = await this.visit(formOf(login), { user })
    expect([home.status, home.url]).toEqual([200, `${this.#webUi}/`])
    expect(home.text).toContain(`Hello, ${name}<`)
    expect(home.text).toContain('the first backend')
    const profile = await this.visit(`${this.#webUi}/profile`)
    expect([profile.status, profile.text.includes(name)]).toEqual([200, true])
    let page = await this.visit(`${this.#webUi}/logout`)
    for (let asked = 0; asked < MAX_QUESTIONS && page.url !== `${this.#webUi}/`; asked += 1)
      page = await this.visit(...submit(page))
    expect([page.status, page.url]).toEqual([200, `${this.#webUi}/`])
    expect((await this.visit(`${this.#webUi}/`)).text).not.toContain(name)
  }

  async #ask(url: string, form?: Readonly<Record<string, string>>): Promise<Response> {
    const response = await fetch(url, {
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: {
        cookie: [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(form && { origin: new URL(url).origin }),
      },
      ...(form && { method: 'POST', body: new URLSearchParams(form) }),
    })
    for (const line of response.headers.getSetCookie()) {
      const [name, value] = (line.split(';')[0] as string).split(/=(.*)/s) as [string, string]
      if (/expires=Thu, 01 Jan 1970|max-age=0/i.test(line)) this.#cookies.delete(name)
      else this.#cookies.set(name, value)
    }
    return response
  }
}

/** Returns the URL to which the form of a page submits. */
function formOf({ url, text }: Seen): string {
  const action = /<form[^>]* action="([^"]+)"/.exec(text)?.[1]
  if (action === undefined) throw new Error(`No form at ${url}: ${text.slice(0, 300)}`)
  return new URL(action.replaceAll('&amp;', '&'), url).href
}

/** Returns the form of a page with its preset fields; those of a GET form are in the URL. */
function submit(page: Seen): [url: string, fields?: Record<string, string>] {
  const matches = [...page.text.matchAll(/<(?:input|button)[^>]* name="([^"]+)"(?:[^>]* value="([^"]*)")?/g)]
  const fields = Object.fromEntries(matches.map(([, name, value]) => [name as string, value ?? '']))
  if (/<form[^>]* method="get"/.test(page.text)) return [`${formOf(page)}?${new URLSearchParams(fields)}`]
  return [formOf(page), fields]
}
