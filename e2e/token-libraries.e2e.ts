import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { startTestSuite } from '../scripts/test-suite.ts'

const root = dirname(import.meta.dirname)
const SERVICES = ['jwt-factory', 'service-a', 'service-b', 'service-c']

describe('TOKEN_LIBRARY', () => {
  it.each(['jose', 'jsonwebtoken', 'node-jose'])(
    '%s signs and verifies in each scenario, at the first start and with the machine code that it has left',
    async (library) => {
      for (const service of SERVICES)
        rmSync(join(root, '.hallpass/bundles', `${service}.cjs.v8`), { force: true })
      for (const start of ['first', 'second']) {
        const suite = await startTestSuite(root, {
          only: SERVICES,
          tellHops: false,
          env: { TOKEN_LIBRARY: library },
        })
        try {
          const url = suite.url('service-a')
          const ask = async (path: string) => (await (await fetch(url + path)).json()) as object
          const [one, three, four, expired] = await Promise.all(
            ['/scenario1', '/scenario3', '/scenario4', '/scenario3?expired=1'].map(ask),
          )
          expect([start, one, three]).toMatchObject([start, { valid: true }, { valid: true }])
          expect(four).toMatchObject({ serviceB: { valid: true }, serviceC: { valid: true } })
          expect(expired).toMatchObject({ valid: false, error: { message: 'jwt expired' } })
          const issued = await fetch(`${suite.url('jwt-factory')}/issueToken/servicea`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: '{"aud":"serviceb"}',
          })
          expect([issued.status, await issued.text()]).toEqual([200, expect.stringMatching(/^eyJ/)])
          // Node warns about libraries loaded with an experimental feature.
          expect(suite.lines.filter((line) => line.includes('Warning'))).toEqual([])
        } finally {
          await suite.stop()
        }
      }
    },
    60_000,
  )
})
