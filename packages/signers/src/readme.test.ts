import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'

const page = readFileSync(join(import.meta.dirname, '../../../jwt-factory/README.md'), 'utf8')
const folder = join(import.meta.dirname, 'aws-kms')
const sources = readdirSync(folder)
  .filter((file) => !file.endsWith('.peer.ts'))
  .map((file) => readFileSync(join(folder, file), 'utf8'))
  .join('\n')

/** CreateKey sets tags, which needs a permission of its own. */
const WITHOUT_A_CALL = ['TagResource']

describe('the IAM policy in the README of the factory', () => {
  it('allows the calls that the code makes, and no other', () => {
    const text = /```json\n(\{\n {2}"Version"[\s\S]*?)```/.exec(page)?.[1] ?? '{}'
    const policy = JSON.parse(text) as { readonly Statement: readonly { readonly Action: string[] }[] }
    const optional = [...page.matchAll(/`kms:(\w+)` (?:and|are)/g)].map(([, action]) => action)
    const allowed = policy.Statement.flatMap(({ Action }) =>
      Action.map((action) => action.replace('kms:', '')),
    )
    const made = [...sources.matchAll(/client\.call(?:<[^(]*>)?\(\s*'(\w+)'/g)].map(([, call]) => call)
    expect(made.length).toBeGreaterThan(6)
    expect([...allowed, ...optional].sort()).toEqual([...new Set([...made, ...WITHOUT_A_CALL])].sort())
  })
})
