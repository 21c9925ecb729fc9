import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { afterEach, describe, expect, it } from '@jest/globals'
import { Launcher } from '../scripts/launcher.ts'
import { startTestSuite } from '../scripts/test-suite.ts'

const root = dirname(import.meta.dirname)

describe('Launcher', () => {
  const launcher = new Launcher({ root, stateFolder: '/nonexistent' })
  afterEach(() => launcher.stop())
  const factoryWith = (env: Record<string, string>) => ({
    name: 'jwt-factory',
    folder: 'jwt-factory',
    shows: '',
    urls: {},
    readyz: 'http://localhost:1/readyz',
    env,
  })

  it('names the service and the port that is in use', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as { port: number }
    await expect(launcher.start([factoryWith({ PORT: String(port), STATE_FOLDER: '/tmp' })])).rejects.toThrow(
      `jwt-factory stopped with exit code 1: port ${port} is in use by another process`,
    )
    taken.close()
  })
})

describe('the suite', () => {
  it('starts every process of the wiring and stops without a trace', async () => {
    const suite = await startTestSuite(root)
    try {
      for (const { name, readyz } of suite.processes)
        if (readyz.startsWith('http:')) expect([name, (await fetch(readyz)).status]).toEqual([name, 200])
      // The bundles hold ASCII alone, and the pages are not.
      expect(await (await fetch(suite.url('web-ui', 'PORT'))).text()).toContain(
        '<title>Home · Hallpass</title>',
      )
    } finally {
      await suite.stop()
    }
    for (const { name } of suite.processes)
      expect([name, suite.launcher.pid(name)]).toEqual([name, undefined])
  }, 40_000)
})
