import { spawn } from 'node:child_process'
import type { GatewayUnderTest } from './gateway.ts'

/**
 * Sends one request with `nghttp -v`, and resolves to the frames and data that it prints when the stream ends or after
 * `timeoutMs`. Node's own client cannot distinguish END_STREAM from a reset without an error, and sends no header twice.
 */
export function nghttp(
  { url }: Pick<GatewayUnderTest, 'url'>,
  path: string,
  headers: readonly string[],
  { timeoutMs = 5_000, onText = (_text: string) => {} } = {},
): Promise<string> {
  const args = ['-v', ...headers.flatMap((header) => ['-H', header]), url + path]
  const child = spawn('nghttp', args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const timer = setTimeout(() => child.kill(), timeoutMs)
  let text = ''
  return new Promise((resolve, reject) => {
    const collect = (chunk: Buffer) => {
      // Removes colors, which it also prints into a pipe.
      // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one.
      text += chunk.toString().replace(/\x1b\[[0-9;]*m/g, '')
      onText(text)
    }
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    child.once('error', reject)
    child.once('close', () => {
      clearTimeout(timer)
      resolve(text)
    })
  })
}
