import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { afterEach, describe, expect, it } from '@jest/globals'
import { Launcher } from '../scripts/launcher.ts'

const root = dirname(import.meta.dirname)

describe('Launcher', () => {
  const launcher = new Launcher({ root, stateFolder: '/nonexistent' })
  afterEach(() => launcher.stop())
  const factoryWith = (env: Record<string, string>) => ({
    name: 'jwt-factory',
    folder: 'jwt-factory',
    shows: '',
    urls: {},
    needs: [],
    readyz: 'http://localhost:1/readyz',
    env,
  })

  it('reports the service and the port in use', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as { port: number }
    await expect(launcher.start([factoryWith({ PORT: String(port), STATE_FOLDER: '/tmp' })])).rejects.toThrow(
      `jwt-factory exited with code 69: port ${port} is in use by another process. Stop it (lsof -i :${port}), or choose another port`,
    )
    taken.close()
  })
})
