import { lazyPeerClient } from '@hallpass/service-kit/peers'
import { reasonOf } from '../failure.ts'
import type { Finding } from './finding.ts'

/** On a busy machine each page of a login takes up to a second. */
const TIMEOUT_MS = 10_000
/** More than a login needs (/login, provider, form, callback): more redirects are a loop. */
const MAX_REDIRECTS = 15

interface Page {
  readonly url: string
  readonly status: number
  readonly text: string
}

/** Logs in the first offered user like a browser without JavaScript, and reads the profile. */
export async function loginFinding(webUi: string): Promise<Finding> {
  try {
    const visit = browser()
    const form = await visit(`${webUi}/login`)
    expectOk(form)
    const action = /<form[^>]* action="([^"]+)"/.exec(form.text)?.[1]
    const user = /<button[^>]* name="user" value="([^"]+)"/.exec(form.text)?.[1]
    if (action === undefined || user === undefined) {
      // Another provider, which requires a password.
      return {
        state: 'note',
        what: `Login was not tested: ${form.url.split('?')[0]} does not offer the suite's users`,
      }
    }
    expectOk(await visit(new URL(action, form.url).href, { user }))
    const profile = await visit(`${webUi}/profile`)
    expectOk(profile)
    if (!profile.text.includes(user)) throw new Error(`${profile.url} does not show ${user}`)
    return { state: 'good', what: `${user} can log in at ${webUi}` }
  } catch (error) {
    return {
      state: 'bad',
      what: `Login failed at ${webUi}: ${(error as Error).message}`,
      remedy:
        'Look for web-ui and identity-provider in the log of npm start. Then stop it with Ctrl-C and start it again.',
    }
  }
}

function expectOk({ url, status, text }: Page) {
  if (status === 200) return
  const heading = /<h1[^>]*>([^<]+)/.exec(text)?.[1] ?? /"message":"([^"]+)"/.exec(text)?.[1] ?? ''
  // Without the query, which may contain an authorization code.
  throw new Error(`${url.split('?')[0]} answers ${status}${heading && `, ${heading}`}`)
}

function browser() {
  const cookies = new Map<string, string>()
  const client = lazyPeerClient({ peer: 'web-ui', timeoutMs: TIMEOUT_MS })

  async function ask(url: string, form?: Readonly<Record<string, string>>) {
    const http = await client()
    const answer = await http
      .request<string>({
        url,
        method: form ? 'POST' : 'GET',
        headers: {
          cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
          ...(form && { origin: new URL(url).origin }),
        },
        data: form && new URLSearchParams(form).toString(),
        responseType: 'text',
      })
      .catch((error: Error) => {
        throw new Error(`${url.split('?')[0]} does not answer (${reasonOf(error)})`)
      })
    const { location, 'set-cookie': set = [] } = answer.headers as {
      location?: string
      'set-cookie'?: readonly string[]
    }
    for (const line of set) {
      const [name = '', value = ''] = (line.split(';')[0] as string).split(/=(.*)/s)
      if (/expires=Thu, 01 Jan 1970|max-age=0/i.test(line)) cookies.delete(name)
      else cookies.set(name, value)
    }
    return { status: answer.status, text: answer.data, location }
  }

  return async (url: string, form?: Readonly<Record<string, string>>): Promise<Page> => {
    let at = url
    let answer = await ask(url, form)
    for (let hops = 0; hops < MAX_REDIRECTS && answer.location !== undefined; hops += 1) {
      at = new URL(answer.location, at).href
      answer = await ask(at)
    }
    return { url: at, status: answer.status, text: answer.text }
  }
}
