import { describe, expect, it } from '@jest/globals'
import { html } from './html.ts'

describe('html', () => {
  it('escapes what comes from outside, in content and in attributes', () => {
    const name = `<img src=x onerror="alert('1')">&`
    expect(String(html`<p title="${name}">${name}</p>`)).toBe(
      '<p title="&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;">' +
        '&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;</p>',
    )
  })

  it('lets no text rewrite the line that it stands in', () => {
    expect(String(html`<p>${'a\u202eb\u2066c\u009b1m\u001b\u0000'} is not trusted</p>`)).toBe(
      '<p>a\\u202eb\\u2066c\\u009b1m\\u001b\\u0000 is not trusted</p>',
    )
    const names = 'שלום عليكم\u200f می\u200cخواهم 👨\u200d👩\u200d👧\n'
    expect(String(html`${names}`)).toBe(names)
  })

  it('keeps the markup of other templates, alone or in a list', () => {
    expect(String(html`<ul>${['a', '<'].map((item) => html`<li>${item}</li>`)}</ul>`)).toBe(
      '<ul><li>a</li><li>&lt;</li></ul>',
    )
  })

  it('escapes a list of texts', () => {
    expect(String(html`${['<', '>']}`)).toBe('&lt;&gt;')
  })

  it('leaves out what is absent, but not zero', () => {
    expect(String(html`${undefined}${null}${false}${0}${''}`)).toBe('0')
  })
})
