import { describe, expect, it } from '@jest/globals'
import { MAX_SELECTORS, parseTopicSelector, parseTopicSelectors, TopicSelectorError } from './index.ts'

const refusalOf = (text: string) => {
  try {
    parseTopicSelector(text)
  } catch (error) {
    expect(error).toBeInstanceOf(TopicSelectorError)
    return [(error as TopicSelectorError).code, (error as Error).message]
  }
  return undefined
}

describe('parseTopicSelector', () => {
  it.each([
    ['orders/7', 'orders/7', true],
    ['orders/7', 'orders/70', false],
    ['orders/7', 'Orders/7', false],
    ['*', 'anything/at all', true],
    ['orders/{id}', 'orders/7', true],
    ['orders/{id}', 'orders/', false],
    ['orders/{id}', 'orders/7/lines', false],
    ['orders/{id}', 'orders/%2F', true],
    ['orders/{id}/lines', 'orders/7/lines', true],
    ['orders/{id}.json', 'orders/7.json', true],
    ['orders/{id}.json', 'orders/.json', false],
    ['orders/v{id}v', 'orders/v', false],
    ['orders/v{id}v', 'orders/vv', false],
    ['orders/v{id}v', 'orders/v7v', true],
    ['https://example.com/books/{id}', 'https://example.com/books/1', true],
    ['https://example.com/books/{id}', 'http://example.com/books/1', false],
    ['{a}/{b}', 'x/y', true],
    ['{a}/{b}', 'x', false],
    ['étage/{n}', 'étage/😀', true],
    ['étage/{n}', 'e\u0301tage/1', false],
    // A regular expression would read these as its own characters.
    ['a.b/{id}+', 'a.b/7+', true],
    ['a.b/{id}+', 'axb/77', false],
  ])('%j covers %j: %j', (selector, topic, covers) => {
    expect(parseTopicSelector(selector).covers(topic)).toBe(covers)
    expect(parseTopicSelectors([selector]).covers(topic)).toBe(covers)
  })

  it.each([
    ['*', '*', true],
    ['*', 'orders/{id}', true],
    ['*', 'orders/7', true],
    ['orders/{id}', '*', false],
    ['orders/7', '*', false],
    ['orders/{id}', 'orders/{number}', true],
    ['orders/{id}', 'orders/7', true],
    ['orders/7', 'orders/{id}', false],
    ['orders/{id}', 'orders/{id}/lines', false],
    ['{kind}/{id}', 'orders/{id}', true],
    ['orders/{id}', '{kind}/{id}', false],
    ['{kind}/7', 'orders/7', true],
    ['orders/{id}', 'orders/7-{id}', true],
    ['orders/7-{id}', 'orders/{id}', false],
    ['orders/7-{id}', 'orders/7-8-{id}', true],
    ['orders/{id}-7', 'orders/{id}-8', false],
    ['orders/{id}-7', 'orders/x{id}8-7', true],
  ])('%j covers the selector %j: %j', (selector, other, covers) => {
    expect(parseTopicSelector(selector).coversSelector(parseTopicSelector(other))).toBe(covers)
    expect(parseTopicSelectors([selector]).coversSelector(parseTopicSelector(other))).toBe(covers)
  })

  it.each([
    ['', 'it is empty'],
    ['orders/*', '* selects all topics only on its own; one segment is {name}'],
    ['orders/{id', 'an expression is a name in braces, such as {id}, within one segment'],
    ['orders/id}', 'an expression is a name in braces, such as {id}, within one segment'],
    ['orders/{}', 'an expression is a name in braces, such as {id}, within one segment'],
    ['orders/{+id}', 'an expression is a name in braces, such as {id}, within one segment'],
    ['orders/{a,b}', 'an expression is a name in braces, such as {id}, within one segment'],
    ['orders/{id:3}', 'an expression is a name in braces, such as {id}, within one segment'],
    ['orders/{a/b}', 'an expression is a name in braces, such as {id}, within one segment'],
    ['orders{/id}', 'an expression is a name in braces, such as {id}, within one segment'],
    ['orders/{{id}}', 'an expression is a name in braces, such as {id}, within one segment'],
    ['orders/{a}-{b}', 'a segment has at most one expression'],
    ['a\nb', 'it contains a control character or a lone surrogate'],
    ['a\ud800b', 'it contains a control character or a lone surrogate'],
    ['é'.repeat(128), 'it has more than 254 bytes'],
  ])('refuses %j', (text, rule) => {
    expect(refusalOf(text)).toEqual([
      'invalid_topic_selector',
      `${JSON.stringify(text)} is not a topic selector: ${rule}.`,
    ])
  })

  it('accepts 254 bytes, and does not quote all of a long text', () => {
    expect(parseTopicSelector('é'.repeat(127)).kind).toBe('exact')
    expect(refusalOf('x'.repeat(100_000))?.[1]).toHaveLength(
      254 + '"…"'.length + ' is not a topic selector: it has more than 254 bytes.'.length,
    )
  })

  it('matches in linear time', () => {
    const { covers } = parseTopicSelector(Array.from({ length: 50 }, () => 'a{x}').join('/'))
    const topic = Array.from({ length: 50 }, () => 'a'.repeat(10_000)).join('/')
    const startedAt = performance.now()
    expect(covers(topic)).toBe(true)
    expect(covers(`${topic}/a`)).toBe(false)
    expect(performance.now() - startedAt).toBeLessThan(1_000)
  })
})

describe('TopicSelectors', () => {
  it('keeps each selector once, and tells the exact ones from the others', () => {
    const selectors = parseTopicSelectors(['a', 'b', 'a', 'orders/{id}'])
    expect(selectors.texts).toEqual(['a', 'b', 'orders/{id}'])
    expect([...selectors.exact]).toEqual(['a', 'b'])
    expect([selectors.isExact, selectors.isEvery]).toEqual([false, false])
    expect(parseTopicSelectors(['a']).isExact).toBe(true)
    expect(parseTopicSelectors(['a', '*']).isEvery).toBe(true)
  })

  it('covers nothing without selectors', () => {
    const none = parseTopicSelectors([])
    expect([none.covers('a'), none.coversSelector(parseTopicSelector('*')), none.isExact]).toEqual([
      false,
      false,
      true,
    ])
  })

  it('refuses more than a hundred', () => {
    const many = Array.from({ length: MAX_SELECTORS + 1 }, (_, index) => `${index}`)
    expect(() => parseTopicSelectors(many)).toThrow('There are 101 topic selectors; at most 100 are allowed.')
    expect(parseTopicSelectors(many.slice(1)).texts).toHaveLength(100)
  })
})
