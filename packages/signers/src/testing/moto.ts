import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { freePort } from '@hallpass/free-ports'
import type { KmsOptions } from '../aws-kms/index.ts'
import { motoServer } from './peers.ts'

/** Moto answers anyone who signs with anything. */
export const MOTO_CREDENTIALS = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' }
const ACCOUNT = '123456789012'
const REGION = 'eu-central-1'

/** AWS KMS on this machine, on a free port. It keeps its keys in memory: after `kill`, they are gone. */
export class Moto {
  readonly #port: number
  #process: ChildProcess | undefined

  static async start(): Promise<Moto> {
    const moto = new Moto(await freePort())
    await moto.start()
    return moto
  }

  private constructor(port: number) {
    this.#port = port
  }

  get options(): KmsOptions {
    return { region: REGION, endpoint: `http://127.0.0.1:${this.#port}` }
  }

  readonly unknownArn = `arn:aws:kms:${REGION}:${ACCOUNT}:key/00000000-0000-4000-8000-000000000000`

  async start(): Promise<void> {
    this.#process = spawn(motoServer, ['-H', '127.0.0.1', '-p', `${this.#port}`], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let output = ''
    for await (const chunk of this.#process.stderr as AsyncIterable<Buffer>) {
      output += chunk
      if (output.includes('Running on')) break
    }
    if (!output.includes('Running on')) throw new Error(`moto_server did not start:\n${output}`)
  }

  /** Connections stay open, but nothing is answered until `thaw`. */
  freeze(): void {
    this.#process?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#process?.kill('SIGCONT')
  }

  async kill(): Promise<void> {
    if (!this.#process || this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const exited = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await exited
  }
}
