import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { openSync, readFileSync } from 'node:fs'
import http from 'node:http'

/** A contestant: its processes, their CPU time and memory. */
export class Contestant {
  readonly #children: ChildProcess[] = []

  /** Starts a program and resolves when the URL answers. */
  async start(
    program: string,
    args: readonly string[],
    { env = {}, ready, log }: { env?: Readonly<Record<string, string>>; ready: string; log?: string },
  ): Promise<void> {
    const child = spawn(program, args, {
      env: { PATH: process.env.PATH ?? '', ...env },
      stdio: ['ignore', log === undefined ? 'ignore' : openSync(log, 'w'), 'inherit'],
    })
    this.#children.push(child)
    for (let tries = 0; ; tries += 1) {
      if (await answers(ready)) return
      if (child.exitCode !== null || tries > 400) throw new Error(`${program} does not answer at ${ready}`)
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
  }

  /** Returns the user and system time of all processes, workers included, in milliseconds. */
  cpuMs(): number {
    const ticks = this.#children
      .flatMap(({ pid }) => [String(pid), ...childrenOf(String(pid))])
      .map((pid) => {
        const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
          .replace(/^.*\) /, '')
          .split(' ')
        return Number(fields[11]) + Number(fields[12])
      })
    return ticks.reduce((sum, count) => sum + count, 0) * TICK_MS
  }

  /** Returns the resident memory in megabytes, with mapped files (the store's pages) separately. */
  memory(): { rss: number; ofFiles: number } {
    const status = readFileSync(`/proc/${this.#children[0]?.pid}/status`, 'utf8')
    const kilobytes = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0)
    return { rss: kilobytes('VmRSS') / 1024, ofFiles: kilobytes('RssFile') / 1024 }
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#children.map((child) => {
        const ended = new Promise((resolve) => child.once('exit', resolve))
        child.kill('SIGTERM')
        return child.exitCode === null ? ended : undefined
      }),
    )
  }
}

const TICK_MS = 1000 / Number(execFileSync('getconf', ['CLK_TCK']).toString())

function childrenOf(pid: string): string[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)
}

function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    http
      .get(url, { agent: false, timeout: 1_000 }, (response) => {
        response.resume()
        resolve(response.statusCode === 200)
      })
      .on('error', () => resolve(false))
      .on('timeout', () => resolve(false))
  })
}
