import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { peersFolder } from '../providers/provider-process.ts'
import {
  type ClientEnvironment,
  programsFolder,
  type RunningClient,
  startProgram,
  startStreamProgram,
} from './client.ts'

/** A client in another process, as the table of the README names it. */
export interface ForeignProgram {
  readonly name: string
  readonly language: string
  readonly version: string
  /** The file without which it cannot run. */
  readonly file: string
  readonly start: (environment: ClientEnvironment) => RunningClient
}

/** Returns the version of a library that a file of `sse-gateway/peers` pins. */
function pinned(file: string, pattern: RegExp): string {
  const version = pattern.exec(readFileSync(join(programsFolder, file), 'utf8'))?.[1]
  if (version === undefined) throw new Error(`No version in ${file}: ${pattern}.`)
  return version
}

const curl = (option: string, protocol: string): ForeignProgram => ({
  name: `curl, ${protocol}`,
  language: 'C',
  version: /^curl (\S+)/.exec(spawnSync('curl', ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[1] ?? '',
  file: '/bin/sh',
  start: (environment) => startStreamProgram('sh', ['curl/stream.sh', option], environment),
})

const npm = (name: string): ForeignProgram => {
  const manifest = join(import.meta.dirname, '../../node_modules', name, 'package.json')
  return {
    name: `npm \`${name}\``,
    language: 'JavaScript',
    version: JSON.parse(readFileSync(manifest, 'utf8')).version,
    file: manifest,
    start: (environment) => startProgram(process.execPath, [`node/${name}.js`], environment),
  }
}

const go = (name: string, path: string): ForeignProgram => {
  const file = join(peersFolder, 'bin/sse-go')
  return {
    name: `\`${path}\``,
    language: 'Go',
    version: pinned('go/go.mod', new RegExp(`${path} v(\\S+)`)),
    file,
    start: (environment) => startProgram(file, [name], environment),
  }
}

const python = (name: string): ForeignProgram => {
  const file = join(peersFolder, 'sse-python/bin/python')
  return {
    name: `PyPI \`${name}\``,
    language: 'Python',
    version: pinned('python/requirements.txt', new RegExp(`^${name}==(.*)$`, 'm')),
    file,
    start: (environment) =>
      startProgram(file, [`python/${name.replaceAll('-', '_')}_client.py`], environment),
  }
}

const classes = join(peersFolder, 'sse-java')
const rustProgram = join(peersFolder, 'bin/sse-rust')

export const programs: readonly ForeignProgram[] = [
  curl('--http2', 'HTTP/2'),
  curl('--http1.1', 'HTTP/1.1'),
  npm('eventsource'),
  npm('eventsource-parser'),
  npm('undici'),
  go('r3labs', 'github.com/r3labs/sse/v2'),
  go('tmaxmax', 'github.com/tmaxmax/go-sse'),
  go('launchdarkly', 'github.com/launchdarkly/eventsource'),
  python('httpx-sse'),
  python('sseclient-py'),
  python('aiohttp-sse-client2'),
  python('launchdarkly-eventsource'),
  {
    name: '`okhttp-sse`',
    language: 'Java',
    version: pinned('java/pom.xml', /<artifactId>okhttp-sse<\/artifactId>\s*<version>(.*)<\/version>/),
    file: join(classes, 'OkHttpSse.class'),
    start: (environment) =>
      startProgram('java', ['-cp', `${classes}:${classes}/lib/*`, 'OkHttpSse'], environment),
  },
  {
    name: '`reqwest-eventsource`',
    language: 'Rust',
    version: pinned('rust/Cargo.toml', /^reqwest-eventsource = "=(.*)"$/m),
    file: rustProgram,
    start: (environment) => startProgram(rustProgram, [], environment),
  },
]

/** Returns the first number with dots that a command prints, e.g. its version. */
export const versionOf = (command: string, ...args: readonly string[]): string =>
  /\d+(\.\d+)+/.exec(execFileSync(command, args, { encoding: 'utf8' }))?.[0] ?? ''
