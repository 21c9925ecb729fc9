import { type ChildProcess, spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Events usually happen within two seconds; a busy machine needs more time. */
const DEADLINE_MS = 45_000

/**
 * A separate network and /tmp (Linux namespaces, so it needs root), in which programs with fixed ports and paths can run as any
 * user without affecting the rest of the machine.
 */
export class Sandbox {
  /** The path of the sandbox's /tmp outside. */
  readonly tmp: string
  readonly #folder: string
  readonly #holder: ChildProcess
  readonly #programs = new Set<Program>()

  private constructor(folder: string, holder: ChildProcess) {
    this.#folder = folder
    this.tmp = join(folder, 'tmp')
    this.#holder = holder
  }

  static async open(): Promise<Sandbox> {
    const folder = await mkdtemp(join(tmpdir(), 'sandbox-'))
    await chmod(folder, 0o755)
    const tmp = join(folder, 'tmp')
    await mkdir(tmp)
    await chmod(tmp, 0o1777)
    const script = `ip link set lo up && mount --bind ${tmp} /tmp && echo ready && exec cat`
    // `cat` exits when its standard input closes, at the latest when this process exits.
    const holder = spawn('unshare', ['--net', '--mount', 'sh', '-c', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    await new Promise<void>((resolve, reject) => {
      holder.stdout.once('data', () => resolve())
      holder.once('close', (code) => reject(new Error(`no sandbox: unshare exited with ${code}`)))
    })
    return new Sandbox(folder, holder)
  }

  /** Starts a program inside the sandbox as a user, who need not exist; paths are those inside. */
  run(uid: number, command: readonly string[], env: Readonly<Record<string, string>> = {}): Program {
    const inside = ['-t', String(this.#holder.pid), '-n', '-m', '--']
    const asUser = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--', ...command]
    const program = new Program(
      spawn('nsenter', [...inside, ...asUser], {
        env: { PATH: process.env.PATH, HOME: '/tmp', ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
        cwd: '/',
      }),
    )
    this.#programs.add(program)
    return program
  }

  /** Resolves when a program listens on a port inside. */
  async listening(port: number): Promise<void> {
    const wanted = new RegExp(`:${port.toString(16).toUpperCase().padStart(4, '0')} [0-9A-F]+:0000 0A `)
    await until(`port ${port} to listen`, async () => {
      const net = `/proc/${this.#holder.pid}/net`
      const tables = await Promise.all([readFile(`${net}/tcp`, 'utf8'), readFile(`${net}/tcp6`, 'utf8')])
      return wanted.test(tables.join('\n'))
    })
  }

  async close(): Promise<void> {
    await Promise.all([...this.#programs].map((program) => program.stop()))
    this.#holder.stdin?.end()
    await rm(this.#folder, { recursive: true, force: true })
  }
}

/** A program running inside a sandbox. */
export class Program {
  /** The output of stdout and stderr. */
  output = ''
  readonly #child: ChildProcess
  readonly #ended: Promise<number | null>

  constructor(child: ChildProcess) {
    this.#child = child
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk) => {
        this.output += chunk
      })
    this.#ended = new Promise((resolve) => child.once('close', resolve))
  }

  /** Waits until it exits and returns the exit code. */
  ended(): Promise<number | null> {
    return this.#ended
  }

  async says(text: string): Promise<void> {
    await until(`"${text}" in:\n${this.output}`, async () => this.output.includes(text))
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.#child.kill(signal)
    await this.#ended
  }
}

export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + DEADLINE_MS; Date.now() < deadline; ) {
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`timed out after ${DEADLINE_MS / 1000} s waiting for ${what}`)
}
