import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ColourScheme, OtherBrowser } from './other-browser.ts'

/** Paths of the MiniBrowser in Debian's libwebkit2gtk, by architecture. */
const MINI_BROWSERS = ['x86_64', 'aarch64'].map(
  (architecture) => `/usr/lib/${architecture}-linux-gnu/webkit2gtk-4.1/MiniBrowser`,
)
/** Enough for a first start on a busy machine. */
const START_TIMEOUT_MS = 30_000

/** Returns why WebKit cannot run here, or undefined. */
export function missingWebKit(): string | undefined {
  const isThere = ['WebKitWebDriver', 'Xvfb'].every((program) => spawnSync('which', [program]).status === 0)
  if (isThere && MINI_BROWSERS.some(existsSync)) return undefined
  return 'WebKitWebDriver is not installed (apt-get install webkit2gtk-driver xvfb)'
}

/**
 * Debian's WebKit with one page on a virtual screen, driven by WebDriver (W3C). Playwright drives only its own build of
 * WebKit.
 */
export class WebKit implements OtherBrowser {
  readonly errors: string[] = []
  readonly #processes: readonly ChildProcess[]
  readonly #home: string
  readonly #session: string

  private constructor(processes: readonly ChildProcess[], home: string, session: string) {
    this.#processes = processes
    this.#home = home
    this.#session = session
  }

  static async start(scheme: ColourScheme): Promise<WebKit> {
    const home = await mkdtemp(join(tmpdir(), 'hallpass-webkit-'))
    const processes: ChildProcess[] = []
    try {
      const screen = spawn('Xvfb', ['-displayfd', '1', '-screen', '0', '1280x1000x24', '-nolisten', 'tcp'], {
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      processes.push(screen)
      const [display] = (await once(screen.stdout, 'data')) as [Buffer]
      const port = await freePort()
      processes.push(
        spawn('WebKitWebDriver', [`--port=${port}`], {
          stdio: 'ignore',
          env: {
            PATH: process.env.PATH,
            HOME: home,
            LANG: 'C.UTF-8',
            DISPLAY: `:${String(display).trim()}`,
            GTK_THEME: scheme === 'dark' ? 'Adwaita:dark' : 'Adwaita',
            LIBGL_ALWAYS_SOFTWARE: '1',
          },
        }),
      )
      const { sessionId } = await newSession(`http://127.0.0.1:${port}`)
      return new WebKit(processes, home, `http://127.0.0.1:${port}/session/${sessionId}`)
    } catch (error) {
      await end(processes, home)
      throw error
    }
  }

  async open(url: string): Promise<void> {
    await ask(`${this.#session}/url`, { url })
    // WebDriver does not expose the console, so the page collects its own errors.
    await this.evaluate(`(() => {
      window.problems = []
      addEventListener('error', ({ message }) => problems.push(message))
      addEventListener('unhandledrejection', ({ reason }) => problems.push(String(reason)))
      addEventListener('securitypolicyviolation', ({ violatedDirective }) => problems.push(violatedDirective))
    })()`)
  }

  async evaluate<T>(expression: string): Promise<T> {
    const script = `const [value, done] = [(async () => (${expression}))(), arguments[arguments.length - 1]]
      value.then((result) => done(JSON.stringify(result) ?? 'null'), (error) => done(JSON.stringify({ thrown: String(error) })))`
    const answer = JSON.parse((await ask(`${this.#session}/execute/async`, { script, args: [] })) as string)
    if (answer?.thrown !== undefined) throw new Error(answer.thrown)
    return answer as T
  }

  async screenshot(): Promise<Buffer> {
    this.errors.push(...(await this.evaluate<string[]>('window.problems')))
    return Buffer.from((await ask(`${this.#session}/screenshot`)) as string, 'base64')
  }

  async stop(): Promise<void> {
    await fetch(this.#session, { method: 'DELETE' }).catch(() => {})
    await end(this.#processes, this.#home)
  }
}

async function newSession(driver: string): Promise<{ sessionId: string }> {
  const binary = MINI_BROWSERS.find(existsSync)
  const capabilities = {
    alwaysMatch: {
      // It does not know the development CA.
      acceptInsecureCerts: true,
      'webkitgtk:browserOptions': { binary, args: ['--automation'] },
    },
  }
  const deadline = Date.now() + START_TIMEOUT_MS
  for (;;) {
    try {
      return (await ask(`${driver}/session`, { capabilities })) as { sessionId: string }
    } catch (error) {
      // The driver does not listen immediately.
      if (Date.now() > deadline || !(error instanceof TypeError)) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

/** Sends a WebDriver command (§6.6), as POST if it has a body. */
async function ask(url: string, body?: unknown): Promise<unknown> {
  const post = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
  const response = await fetch(url, post)
  const { value } = (await response.json()) as { value: { message?: string } | null }
  if (!response.ok) throw new Error(`${url}: ${value?.message}`)
  return value
}

async function end(processes: readonly ChildProcess[], home: string) {
  for (const child of processes.toReversed()) {
    const exited = once(child, 'exit')
    if (child.kill('SIGTERM')) await exited
  }
  await rm(home, { recursive: true, force: true, maxRetries: 5 })
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
