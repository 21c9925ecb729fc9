import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { projectFiles } from './project-files.ts'

const root = join(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

/** Code on a page of docs/providers that is also code of this project, by the language of its blocks. */
const FILES: Readonly<Record<string, string>> = {
  yaml: 'e2e/providers/spring/src/main/resources/application.yml',
  java: 'e2e/providers/spring/src/main/java/hallpass/AuthorizationServer.java',
}

describe('docs/providers/spring-authorization-server.md', () => {
  const blocks = [
    ...read('docs/providers/spring-authorization-server.md').matchAll(/```(\w+)\n([\s\S]*?)```/g),
  ]

  it.each(Object.entries(FILES))('shows the %s that its test runs', (language, file) => {
    const shown = blocks.flatMap(([, name, code]) => (name === language ? [code as string] : []))
    expect(shown).not.toEqual([])
    for (const code of shown) expect(read(file)).toContain(code)
  })
})

describe('pages of docs/providers', () => {
  const pages = projectFiles(root).filter((file) => /^docs\/providers\/(?!README).*\.md$/.test(file))

  it.each(pages)(
    '%s says first whether its settings are run here, and names only known variables',
    (page) => {
      const text = read(page)
      expect(text).toMatch(/\n\*\*(?:Run here:|Not run here\.)\*\*/)
      const known = read('web-ui/README.md') + read('backend-api/README.md')
      const tables = [...text.matchAll(/^\| (?:web UI|backend-api) \|.*\n\|[-|]+\n((?:\|.*\n)+)/gm)]
      const variables = tables.flatMap(([, rows]) =>
        [...(rows as string).matchAll(/^\| ([^|]+) \|/gm)].flatMap(
          ([, cell]) => (cell as string).match(/[A-Z][A-Z0-9_]+/g) ?? [],
        ),
      )
      expect(variables).not.toEqual([])
      expect(variables.filter((name) => !known.includes(`\`${name}\``))).toEqual([])
    },
  )
})
