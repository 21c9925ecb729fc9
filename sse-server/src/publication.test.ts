import { JsonNumber } from '@hallpass/untrusted/json'
import { describe, expect, it } from '@jest/globals'
import { PublicationError, toPublication } from './publication.ts'

describe('toPublication', () => {
  it.each([
    ['a text', { data: 'Hello, world' }, { data: 'Hello, world' }],
    ['a text of several lines', { data: 'a\nb\r\nc' }, { data: 'a\nb\r\nc' }],
    ['an empty text', { data: '' }, { data: '' }],
    ['an object', { data: { id: 1, name: 'Hello World!' } }, { data: '{"id":1,"name":"Hello World!"}' }],
    ['an array', { data: [1, 'a'] }, { data: '[1,"a"]' }],
    ['a number', { data: 5 }, { data: '5' }],
    ['a boolean', { data: false }, { data: 'false' }],
    ['null', { data: null }, { data: 'null' }],
    ['a name', { name: 'something', data: 'one' }, { event: 'something', data: 'one' }],
    ['the alias event', { event: 'something', data: 'one' }, { event: 'something', data: 'one' }],
    ['the alias type', { type: 'something', data: 'one' }, { event: 'something', data: 'one' }],
    ['a name beside its aliases', { name: 'n', event: 'e', type: 't', data: '' }, { event: 'n', data: '' }],
    ['a name without data', { name: 'n' }, { event: 'n', data: '' }],
    ['an empty name', { name: '', data: 'x' }, { data: 'x' }],
    [
      'everything',
      { id: '7', event: 'e', data: 'x', retry: 100, topic: 't' },
      { id: '7', event: 'e', data: 'x', retry: 100, topic: 't' },
    ],
    ['an id that is a number', { id: 7, data: 'x' }, { id: '7', data: 'x' }],
    ['an id beyond 2^53', { id: new JsonNumber('9007199254740993') }, { id: '9007199254740993' }],
    [
      'numbers as they were written',
      { data: { id: new JsonNumber('18446744073709551615'), n: [new JsonNumber('1e400')] } },
      { data: '{"id":18446744073709551615,"n":[1e400]}' },
    ],
    ['a retry in another way of writing', { retry: new JsonNumber('2e3') }, { retry: 2000 }],
    ['members that are not known', { data: 'x', colour: 'red' }, { data: 'x' }],
  ])('S02 takes %s', (_what, object, publication) => {
    expect(toPublication(object)).toEqual(publication)
  })

  it.each([
    ['nothing', {}, 'empty_publication', 'A publication needs data, event, id or retry.'],
    ['a topic alone', { topic: 't' }, 'empty_publication', 'A publication needs data, event, id or retry.'],
    [
      'a type with a line end',
      { name: 'a\ndata:b' },
      'bad_member',
      'event must be a text of at most 254 bytes without line ends and NUL.',
    ],
    [
      'a type that is an object',
      { name: {} },
      'bad_member',
      'event must be a text of at most 254 bytes without line ends and NUL.',
    ],
    [
      'an id with NUL',
      { id: '\0', data: '' },
      'bad_member',
      'id must be a text of at most 254 bytes without line ends and NUL.',
    ],
    [
      'an id of 255 bytes',
      { id: `${'€'.repeat(85)}`, data: '' },
      'bad_member',
      'id must be a text of at most 254 bytes without line ends and NUL.',
    ],
    [
      'a retry that is a text',
      { retry: '100' },
      'bad_member',
      'retry must be a whole number of milliseconds up to 86400000.',
    ],
    [
      'a retry below zero',
      { retry: -1 },
      'bad_member',
      'retry must be a whole number of milliseconds up to 86400000.',
    ],
    ['an empty topic', { topic: '', data: 'x' }, 'bad_member', 'topic must not be empty.'],
  ])('refuses %s', (_what, object, code, message) => {
    expect(() => toPublication(object)).toThrow(PublicationError)
    expect(() => toPublication(object)).toThrow(expect.objectContaining({ code, message }))
  })
})
