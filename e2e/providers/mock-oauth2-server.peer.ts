import { describeWith } from '@hallpass/service-kit/testing'
import { expect, it } from '@jest/globals'
import { callBackend, testJourney } from './journey.ts'
import { useJourney } from './journey-system.ts'
import {
  mockOauth2Server,
  mockOauth2ServerProgram,
  mockOauth2ServerWithCallbacks,
} from './mock-oauth2-server.ts'

const describeHere = describeWith(mockOauth2ServerProgram, '.ci/install-peers providers')

describeHere('the web UI with mock-oauth2-server', () => {
  testJourney(useJourney(mockOauth2Server))
})

describeHere('the web UI with mock-oauth2-server and token callbacks', () => {
  const system = useJourney(mockOauth2ServerWithCallbacks)
  testJourney(system)

  it('cannot tell its ID tokens from its access tokens, as its page warns', async () => {
    const { id_token } = await system.tokens(system.provider.users.both)
    expect(await callBackend(system, id_token)).toEqual([200, ''])
  })
})
