import { UserAgent } from '@hallpass/pages/testing'
import { describe, expect, it } from '@jest/globals'
import { useWebUi } from '../testing/web-ui-system.ts'

describe('AL-55: requests of other origins, with cookies', () => {
  const webUi = useWebUi()
  const ask = async (headers: Record<string, string>, path = '/profile') => {
    const { agent } = await webUi.logIn()
    return agent.step('GET', webUi.url + path, headers)
  }

  it.each([
    ['an EventSource of another port', 'same-site', 'cors', 'empty'],
    ['a fetch of another site', 'cross-site', 'cors', 'empty'],
    ['an image of another site', 'cross-site', 'no-cors', 'image'],
    ['a script of another port', 'same-site', 'no-cors', 'script'],
    ['a frame of another site', 'cross-site', 'navigate', 'iframe'],
    ['an object of another site', 'cross-site', 'navigate', 'object'],
  ])('rejects %s', async (_what, site, mode, dest) => {
    const answer = await ask({
      origin: 'http://localhost:9',
      'sec-fetch-site': site,
      'sec-fetch-mode': mode,
      'sec-fetch-dest': dest,
    })
    expect([answer.status, JSON.parse(answer.body).error.code]).toEqual([403, 'foreign_origin'])
    expect(answer.headers.get('access-control-allow-origin')).toBeNull()
    expect(answer.headers.get('vary')).toBe('Sec-Fetch-Site, Origin')
  })

  it('allows a link from another site', async () => {
    const answer = await ask({
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
    })
    expect(answer.status).toBe(200)
  })

  it('serves styles and pictures only to its own pages', async () => {
    const { body } = await new UserAgent().visit(webUi.url)
    const stylesheet = /href="([^"]+\.css)"/.exec(body)?.[1] as string
    const answer = await new UserAgent().step('GET', webUi.url + stylesheet)
    expect([answer.status, answer.headers.get('cross-origin-resource-policy')]).toEqual([200, 'same-origin'])
  })
})
