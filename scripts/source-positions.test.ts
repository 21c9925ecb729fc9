import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { build } from 'esbuild'
import { pointToSources } from './source-positions.ts'

describe('pointToSources', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hallpass positions (100%) #'))
    await writeFile(
      join(folder, 'service.ts'),
      'interface Request { id: string }\n\nfunction fail(request: Request): never {\n  throw new Error(request.id)\n}\nfail({ id: "first" })\n',
    )
    await build({
      entryPoints: [join(folder, 'service.ts')],
      outfile: join(folder, 'bundles/service.cjs'),
      format: 'cjs',
      minifyWhitespace: true,
      sourcemap: 'linked',
    })
  })
  afterAll(() => rm(folder, { recursive: true }))

  it('maps to the line of the source, with and without V8’s code cache', async () => {
    const run = () =>
      promisify(execFile)(process.execPath, [
        join(import.meta.dirname, 'run-bundle.cjs'),
        join(folder, 'bundles/service.cjs'),
      ]).then(
        () => '',
        ({ stderr }) => stderr as string,
      )
    for (const attempt of ['first', 'second']) {
      const shown = pointToSources(await run())
      expect([attempt, /at fail \((.*)\)/.exec(shown)?.[1]]).toEqual([
        attempt,
        expect.stringMatching(/service\.ts:4:9$/),
      ])
    }
  })

  it('leaves unknown positions unchanged', () => {
    expect(pointToSources('at x (/nowhere/bundles/service.cjs:1:2)')).toBe(
      'at x (/nowhere/bundles/service.cjs:1:2)',
    )
  })
})
