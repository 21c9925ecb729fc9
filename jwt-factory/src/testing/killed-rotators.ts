import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseCompact } from '@hallpass/tokens'
import { call, type FactoryProcess, startFactoryProcess } from './factory-process.ts'

/**
 * Runs two factories on one folder, each with a client that rotates a key and gets a token, and kills one of them each
 * round. Returns the kids that have signed, and those of them that the issuer has forgotten.
 */
export async function killRotators(
  rounds: number,
  program?: readonly string[],
): Promise<{ signed: Set<string>; lost: string[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'killed-rotators-'))
  const env = { STATE_FOLDER: folder }
  const factories: (FactoryProcess | undefined)[] = await Promise.all([
    startFactoryProcess(env, program),
    startFactoryProcess(env, program),
  ])
  const signed = new Set<string>()
  let running = true
  // All keys stay in one ring for an hour; in a long run, it would get so large that a rotation takes longer than a round.
  const pauseMs = rounds > 20 ? 300 : 20
  const client = async (index: number) => {
    while (running) {
      const url = factories[index]?.url
      const rotated = url && (await call(`${url}/keys/servicea`, 'POST'))
      const token = rotated && (await call(`${url}/issueToken/servicea`, 'POST', { aud: 'serviceb' }))
      if (token && token.status === 200) signed.add(parseCompact(token.text).header.kid as string)
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
  }
  try {
    const clients = [client(0), client(1)]
    for (let round = 0; round < rounds; round += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50 + (round % 7) * 30))
      const index = round % 2
      const killed = factories[index]
      factories[index] = undefined
      await killed?.kill()
      factories[index] = await startFactoryProcess(env, program)
    }
    running = false
    await Promise.all(clients)
    for (const factory of factories) await factory?.kill()
    const last = await startFactoryProcess(env, program)
    factories[0] = last
    const { text } = (await call(`${last.url}/utils/key-states`, 'GET')) as { text: string }
    const known = new Set(
      (JSON.parse(text) as { keyIds: { keys: { kid: string }[] }[] }).keyIds.flatMap(({ keys }) =>
        keys.map(({ kid }) => kid),
      ),
    )
    return { signed, lost: [...signed].filter((kid) => !known.has(kid)) }
  } finally {
    running = false
    for (const factory of factories) await factory?.kill()
    await rm(folder, { recursive: true })
  }
}
