import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { Module } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Where `.ci/install-peers` installs what `npm ci` does not. */
const peersFolder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'hallpass/peers')
const modulesFolder = join(peersFolder, 'signer-modules/node_modules')
/** AWS KMS on this machine: PyPI's `moto`. */
export const motoServer = join(peersFolder, 'moto/bin/moto_server')
/** Debian and others install SoftHSM's library into one of these. */
export const softHsmLibrary = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib64/pkcs11/libsofthsm2.so',
  '/usr/local/lib/softhsm/libsofthsm2.so',
].find((path) => existsSync(path))

const isInstalled = (name: string) => existsSync(join(modulesFolder, name, 'package.json'))

export const hasSoftHsm = () =>
  softHsmLibrary !== undefined &&
  spawnSync('softhsm2-util', ['--version']).status === 0 &&
  isInstalled('pkcs11js')

export const hasMoto = () => existsSync(motoServer) && isInstalled('@aws-sdk/client-kms')

/** The environment of a child process that finds the installed packages. */
export const peerEnvironment = { NODE_PATH: modulesFolder }

/** Makes this process find the packages, as `NODE_PATH` does for a new one. */
export function usePeerModules(): void {
  process.env.NODE_PATH = modulesFolder
  ;(Module as unknown as { _initPaths(): void })._initPaths()
}

export const runProgram = (program: string, ...args: readonly string[]) =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
