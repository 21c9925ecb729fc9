import { describe, expect, it } from '@jest/globals'
import { safeReturnTo } from './return-to.ts'

const BASE_URL = 'https://webui.example'

describe('open redirect: safeReturnTo', () => {
  it.each(['/', '/profile', '/runs/1?view=keys#b', '/a/../profile'])('keeps %s', (path) => {
    expect(safeReturnTo(path, BASE_URL)).toBe(path === '/a/../profile' ? '/profile' : path)
  })

  it.each([
    'https://evil.example/',
    '//evil.example/',
    '/\\evil.example',
    '\\/evil.example',
    '/\t/evil.example',
    '/..//evil.example',
    '/.//evil.example',
    'javascript:alert(1)',
    'profile',
    `${BASE_URL}/profile`,
    `/${'a'.repeat(600)}`,
    // Escaped it is nine times as long, more than fits into a cookie.
    `/${'漢'.repeat(500)}`,
    '',
    undefined,
    ['/profile'],
  ])('redirects to / instead of %j', (path) => {
    expect(safeReturnTo(path, BASE_URL)).toBe('/')
  })
})
