// @ts-check
import { connect } from 'node:net'

/** A launcher answers within milliseconds, unless it is frozen. */
const ANSWER_TIMEOUT_MS = 2_000

/**
 * Who runs the suite in a state folder: the process that listens on its socket, or nobody. Plain JavaScript, because it
 * is asked before there are bundles.
 * @param {string} stateFolder
 * @returns {Promise<{ readonly pid: number | undefined } | undefined>} without a pid when it does not answer
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
  `The suite already runs in ${stateFolder}, started by ${pid === undefined ? 'a process that does not answer' : `pid ${pid}`}. ` +
  'Stop it with Ctrl-C there, or set STATE_FOLDER to another folder and use --free-ports for a second one.'

/** The system limits the path of a socket to 107 bytes, so it is named from within its folder. @param {string} stateFolder */
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

/** As in packages/service-kit/src/launcher-client.ts. */
const SOCKET = 'suite.sock'
