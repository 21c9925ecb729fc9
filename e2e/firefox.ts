import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocket } from 'undici'
import type { ColourScheme, OtherBrowser } from './other-browser.ts'

/** Returns why Firefox cannot run here, or undefined. */
export function missingFirefox(): string | undefined {
  const isThere = spawnSync('firefox-esr', ['--version']).status === 0
  return isThere ? undefined : 'firefox-esr is not installed (apt-get install firefox-esr)'
}

/** Enough for a first start on a busy machine. */
const START_TIMEOUT_MS = 30_000
const LISTENS = /WebDriver BiDi listening on (ws:\/\/\S+)/

/** Preferences: no background requests, and the color scheme. */
const preferences = (scheme: ColourScheme) => `
user_pref('layout.css.prefers-color-scheme.content-override', ${scheme === 'dark' ? 0 : 1});
user_pref('app.update.enabled', false);
user_pref('browser.shell.checkDefaultBrowser', false);
user_pref('browser.safebrowsing.malware.enabled', false);
user_pref('datareporting.policy.dataSubmissionEnabled', false);
user_pref('network.captive-portal-service.enabled', false);
user_pref('network.connectivity-service.enabled', false);
user_pref('services.settings.server', 'data:,');
user_pref('toolkit.telemetry.enabled', false);
`

interface Message {
  readonly id?: number
  readonly type: 'success' | 'error' | 'event'
  readonly method?: string
  readonly params?: { readonly level?: string; readonly text?: string }
  readonly result?: unknown
  readonly message?: string
}

/**
 * Debian's Firefox with one page, driven by WebDriver BiDi (W3C). Playwright drives only its own build of Firefox, which users
 * do not have.
 */
export class Firefox implements OtherBrowser {
  readonly errors: string[] = []
  readonly #process: ChildProcess
  readonly #profile: string
  readonly #socket: WebSocket
  readonly #waiting = new Map<
    number,
    { resolve: (result: unknown) => void; reject: (error: Error) => void }
  >()
  #lastId = 0
  #context = ''

  private constructor(browser: ChildProcess, profile: string, socket: WebSocket) {
    this.#process = browser
    this.#profile = profile
    this.#socket = socket
    socket.addEventListener('message', ({ data }) => this.#take(JSON.parse(String(data))))
  }

  static async start(scheme: ColourScheme): Promise<Firefox> {
    const profile = await mkdtemp(join(tmpdir(), 'hallpass-firefox-'))
    await writeFile(join(profile, 'user.js'), preferences(scheme))
    const browser = spawn(
      'firefox-esr',
      ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port=0', 'about:blank'],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { PATH: process.env.PATH, HOME: profile, LANG: 'C.UTF-8' },
      },
    )
    try {
      const socket = await connect(`${await addressOf(browser)}/session`)
      const firefox = new Firefox(browser, profile, socket)
      await firefox.#begin()
      return firefox
    } catch (error) {
      browser.kill('SIGKILL')
      throw error
    }
  }

  async open(url: string): Promise<void> {
    await this.#send('browsingContext.navigate', { context: this.#context, url, wait: 'complete' })
  }

  async evaluate<T>(expression: string): Promise<T> {
    const answer = (await this.#send('script.evaluate', {
      expression: `(async () => JSON.stringify(await (${expression})))()`,
      target: { context: this.#context },
      awaitPromise: true,
    })) as { type: string; result?: { value?: string }; exceptionDetails?: { text: string } }
    if (answer.type === 'exception') throw new Error(answer.exceptionDetails?.text)
    return answer.result?.value === undefined ? (undefined as T) : JSON.parse(answer.result.value)
  }

  async screenshot(): Promise<Buffer> {
    const { data } = (await this.#send('browsingContext.captureScreenshot', {
      context: this.#context,
      origin: 'document',
    })) as { data: string }
    return Buffer.from(data, 'base64')
  }

  async stop(): Promise<void> {
    const exited = new Promise((resolve) => this.#process.once('exit', resolve))
    this.#process.kill('SIGKILL')
    await exited
    this.#socket.close()
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5 })
  }

  async #begin() {
    // It does not know the development CA.
    await this.#send('session.new', { capabilities: { alwaysMatch: { acceptInsecureCerts: true } } })
    await this.#send('session.subscribe', { events: ['log.entryAdded'] })
    const { contexts } = (await this.#send('browsingContext.getTree', {})) as {
      contexts: { context: string }[]
    }
    this.#context = contexts[0]?.context ?? ''
  }

  #send(method: string, params: unknown): Promise<unknown> {
    this.#lastId += 1
    const id = this.#lastId
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#socket.send(JSON.stringify({ id, method, params }))
    })
  }

  #take({ id, type, method, params, result, message }: Message) {
    if (method === 'log.entryAdded' && params?.level === 'error') this.errors.push(params.text ?? '')
    const waiting = id === undefined ? undefined : this.#waiting.get(id)
    if (!waiting) return
    this.#waiting.delete(id as number)
    if (type === 'error') waiting.reject(new Error(message))
    else waiting.resolve(result)
  }
}

function addressOf(browser: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    const timer = setTimeout(() => reject(new Error(`Firefox does not listen: ${said}`)), START_TIMEOUT_MS)
    browser.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text
      const address = LISTENS.exec(said)?.[1]
      if (!address) return
      clearTimeout(timer)
      resolve(address)
    })
    browser.once('exit', () => reject(new Error(`Firefox exited: ${said}`)))
  })
}

function connect(url: string): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url)
    socket.addEventListener('open', () => resolve(socket))
    socket.addEventListener('error', () => reject(new Error(`No connection to ${url}.`)))
  })
}
