import { expect, it } from '@jest/globals'
import { noTokenNotice } from './no-token.ts'
import type { Site } from './shell.ts'

it.each([
  [{ code: 'client_credential_unavailable', isAnswered: false }, 'The web UI cannot authenticate to the'],
  [{ code: 'peer_timeout', isAnswered: false }, 'The identity provider does not answer.'],
  [{ code: 'slow_down', isAnswered: true }, 'The identity provider does not renew your access token.'],
  [undefined, 'The identity provider does not answer.'],
])('the failure %j shows whose fault it is', (failure, text) => {
  const access = { noToken: 'awaited', failure, canRefresh: true, refreshes: 0 } as never
  expect(String(noTokenNotice({} as Site, access, 0, '/'))).toContain(`<p><b>${text}`)
})
