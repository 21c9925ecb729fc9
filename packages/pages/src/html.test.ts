import { describe, expect, it } from '@jest/globals'
import { html } from './html.ts'

describe('html', () => {
  it('escapes inserted values, in content and in attributes', () => {
    const name = `<img src=x onerror="alert('1')">&`
    expect(String(html`<p title="${name}">${name}</p>`)).toBe(
      '<p title="&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;">' +
        '&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;</p>',
    )
  })

  it('escapes characters that could reorder or rewrite the line', () => {
    expect(String(html`<p>${'a\u202eb\u2066c\u009b1m\u001b\u0000'} is not trusted</p>`)).toBe(
      '<p>a\\u202eb\\u2066c\\u009b1m\\u001b\\u0000 is not trusted</p>',
    )
    const names = 'שלום عليكم\u200f می\u200cخواهم 👨\u200d👩\u200d👧\n'
    expect(String(html`${names}`)).toBe(names)
  })

  it('keeps the markup of other templates, single or in a list', () => {
    expect(String(html`<ul>${['a', '<'].map((item) => html`<li>${item}</li>`)}</ul>`)).toBe(
      '<ul><li>a</li><li>&lt;</li></ul>',
    )
  })

  it('escapes a list of strings', () => {
    expect(String(html`${['<', '>']}`)).toBe('&lt;&gt;')
  })

  it('omits undefined, null and false, but not zero', () => {
    expect(String(html`${undefined}${null}${false}${0}${''}`)).toBe('0')
  })
})
