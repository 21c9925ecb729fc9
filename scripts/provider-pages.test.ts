import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'

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
