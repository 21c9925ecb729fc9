import { mkdtempSync, renameSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TokenOptions } from '../pkcs11/index.ts'
import { runProgram, softHsmLibrary } from './peers.ts'

const PIN = '648219'

/**
 * A SoftHSM with one token, in a temporary folder. SoftHSM reads `SOFTHSM2_CONF` when a process loads it, so a process has
 * one SoftHSM.
 */
export class SoftHsm {
  readonly folder: string
  readonly options: TokenOptions

  /** @param mechanisms what the token has, as SoftHSM's `slots.mechanisms`, e.g. `-CKM_EDDSA` for all but that */
  static async create(label = 'hallpass', mechanisms = 'ALL'): Promise<SoftHsm> {
    const hsm = new SoftHsm(mkdtempSync(join(tmpdir(), 'hallpass-softhsm-')), label)
    await mkdir(hsm.#tokens)
    await writeFile(
      hsm.configFile,
      `directories.tokendir = ${hsm.#tokens}\nobjectstore.backend = file\nlog.level = ERROR\nslots.mechanisms = ${mechanisms}\n`,
    )
    await hsm.writePin(PIN)
    process.env.SOFTHSM2_CONF = hsm.configFile
    runProgram(
      'softhsm2-util',
      '--init-token',
      '--free',
      '--label',
      label,
      '--pin',
      PIN,
      '--so-pin',
      '975310',
    )
    return hsm
  }

  private constructor(folder: string, label: string) {
    this.folder = folder
    this.options = {
      module: softHsmLibrary as string,
      token: label,
      pinFile: join(folder, 'pin'),
      sessions: 3,
    }
  }

  get configFile(): string {
    return join(this.folder, 'softhsm2.conf')
  }

  get #tokens(): string {
    return join(this.folder, 'tokens')
  }

  writePin(pin: string): Promise<void> {
    return writeFile(this.options.pinFile, `${pin}\n`, { mode: 0o600 })
  }

  restorePin(): Promise<void> {
    return this.writePin(PIN)
  }

  /** Removes the token, as if its device were unplugged. */
  unplug(): void {
    renameSync(this.#tokens, `${this.#tokens}.unplugged`)
  }

  plugIn(): void {
    renameSync(`${this.#tokens}.unplugged`, this.#tokens)
  }

  remove(): Promise<void> {
    delete process.env.SOFTHSM2_CONF
    return rm(this.folder, { recursive: true, force: true })
  }
}
