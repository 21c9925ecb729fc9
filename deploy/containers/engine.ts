import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'

/** A container engine: one that is already running, or one that is started for the test and stopped after it. */
export interface Engine {
  readonly env: NodeJS.ProcessEnv
  stop(): Promise<void>
}

const START_DEADLINE_MS = 30_000

/** Finds or starts an engine. Returns the reason, as a string, if neither is possible. */
export async function findEngine(): Promise<Engine | string> {
  for (const program of ['docker', 'docker-compose'])
    if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0) return `${program} is not installed`
  if (answers(process.env)) return { env: process.env, stop: async () => {} }
  if (process.getuid?.() !== 0) return 'no Docker engine is running, and only root can start one'
  if (spawnSync('sh', ['-c', 'command -v dockerd']).status !== 0)
    return 'no Docker engine is running, and dockerd is not installed'
  return startEngine()
}

/** In order of preference: overlay2 shares image layers, which saves minutes of copying; vfs works everywhere. */
const STORAGE_DRIVERS = ['overlay2', 'vfs']

async function startEngine(): Promise<Engine | string> {
  for (const driver of STORAGE_DRIVERS) {
    const engine = await startWith(driver)
    if (engine) return engine
  }
  return 'dockerd could not be started'
}

async function startWith(driver: string): Promise<Engine | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-docker-'))
  // Kept between runs, so that the next run need not build the image again.
  const images = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'hallpass/docker')
  mkdirSync(images, { recursive: true })
  const socket = `unix://${join(folder, 'docker.sock')}`
  const options = [
    `--storage-driver=${driver}`,
    `--data-root=${images}`,
    `--exec-root=${join(folder, 'exec')}`,
  ]
  // If the test process dies, this ends the engine and all its containers.
  const follow = ['--pdeathsig', 'TERM', 'dockerd']
  const daemon = spawn('setpriv', [...follow, ...options, '-H', socket, `--pidfile=${join(folder, 'pid')}`], {
    stdio: 'ignore',
  })
  const env = { ...process.env, DOCKER_HOST: socket }
  const stop = async () => {
    await end(daemon)
    // The engine leaves the name of its own network namespace mounted.
    spawnSync('umount', ['--lazy', join(folder, 'exec/netns/default')])
    rmSync(folder, { recursive: true, force: true })
  }
  for (const deadline = Date.now() + START_DEADLINE_MS; Date.now() < deadline && daemon.exitCode === null; ) {
    if (answers(env)) {
      removeLeftovers(env)
      return { env, stop }
    }
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  await stop()
  return undefined
}

/** Removes containers that an aborted run left behind, and image layers without a tag. */
function removeLeftovers(env: NodeJS.ProcessEnv) {
  const command = 'docker ps --all --quiet | xargs --no-run-if-empty docker rm --force --volumes'
  spawnSync('sh', ['-c', `${command}; docker system prune --force --volumes`], { env })
}

const answers = (env: NodeJS.ProcessEnv) =>
  spawnSync('docker', ['version'], { env, timeout: 10_000 }).status === 0

async function end(child: ChildProcess) {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = new Promise((resolve) => child.once('close', resolve))
  child.kill('SIGTERM')
  await closed
}

/** Runs a program and returns its output. @throws {Error} with the output if the program fails. */
export function run(
  program: string,
  args: readonly string[],
  options: { env: NodeJS.ProcessEnv; cwd: string },
): string {
  try {
    return execFileSync(program, args, {
      ...options,
      encoding: 'utf8',
      stdio: 'pipe',
      maxBuffer: 64 * 1024 * 1024,
    })
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`${program} ${args.join(' ')}:\n${`${stdout}${stderr}`.slice(-2_000)}`, { cause: error })
  }
}
