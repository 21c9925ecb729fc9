// @ts-check
import { connect } from 'node:net'

/** A launcher answers within milliseconds, unless it hangs. */
const ANSWER_TIMEOUT_MS = 2_000

/**
 * Returns the process that runs the suite in a state folder, found by its socket, or undefined. Plain JavaScript, because
 * it runs before bundles exist.
 * @param {string} stateFolder
 * @returns {Promise<{ readonly pid: number | undefined } | undefined>} without a pid if it does not answer
 */
export async function suiteOwner(stateFolder) {
  const connection = connectIn(stateFolder)
  const isThere = await new Promise((resolve) => {
    connection?.once('connect', () => resolve(true)).once('error', () => resolve(false))
    if (!connection) resolve(false)
  })
  if (!connection || !isThere) return undefined
  const answer = await new Promise((/** @type {(text: string) => void} */ resolve) => {
    let text = ''
    connection.setTimeout(ANSWER_TIMEOUT_MS, () => resolve(''))
    connection
      .on('data', (chunk) => {
        text += chunk
      })
      .on('close', () => resolve(text))
      .on('error', () => resolve(''))
    connection.write('GET /suite HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')
  })
  connection.destroy()
  return { pid: Number(/"pid":(\d+)/.exec(answer)?.[1]) || undefined }
}

/** @param {string} stateFolder @param {number | undefined} pid */
export const alreadyRuns = (stateFolder, pid) =>
  `The suite is already running in ${stateFolder}, started by ${pid === undefined ? 'a process that does not answer' : `pid ${pid}`}. ` +
  'Stop it with Ctrl-C in its terminal, or run a second one with another STATE_FOLDER and --free-ports.'

/** Connects from within the folder, because socket paths are limited to 107 bytes. @param {string} stateFolder */
function connectIn(stateFolder) {
  const before = process.cwd()
  try {
    process.chdir(stateFolder)
  } catch {
    return undefined
  }
  try {
    return connect(SOCKET)
  } finally {
    process.chdir(before)
  }
}

/** As in packages/service-kit/src/peers/launcher-client.ts. */
const SOCKET = 'suite.sock'
