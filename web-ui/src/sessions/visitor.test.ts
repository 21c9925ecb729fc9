import { describe, expect, it } from '@jest/globals'
import { userFrom } from './visitor.ts'

describe('the name of a user', () => {
  const parts = { given_name: 'Ada', family_name: 'Okafor' }
  const others = { nickname: 'ada', preferred_username: 'ada.o', email: 'ada@example.com' }

  it.each([
    [{ name: 'Ada O.', ...parts, ...others }, 'Ada O.'],
    [{ name: '', ...parts }, 'Ada Okafor'],
    [{ name: null, ...parts, ...others }, 'Ada Okafor'],
    [{ given_name: 'Ada', family_name: '' }, 'Ada'],
    [{ given_name: 7, family_name: 'Okafor' }, 'Okafor'],
    [others, 'ada'],
    [{ email: 'ada@example.com' }, 'ada@example.com'],
    [{ given_name: '', family_name: null }, 'ab12'],
  ])('from %j is %s', (claims, name) => {
    expect(userFrom({ sub: 'ab12', ...claims }, '').name).toBe(name)
  })
})
