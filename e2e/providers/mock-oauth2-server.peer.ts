import { describeWith } from '@hallpass/service-kit/testing'
import { expect, it } from '@jest/globals'
import { callBackend, testJourney } from './journey.ts'
import { useJourney } from './journey-system.ts'
import {
  mockOauth2Server,
  mockOauth2ServerProgram,
  mockOauth2ServerWithCallbacks,
  mockOauth2ServerWithIntrospection,
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

describeHere('a backend that asks mock-oauth2-server about each token', () => {
  const system = useJourney(mockOauth2ServerWithIntrospection)

  it('accepts its access tokens, and rejects its ID tokens, which are active too', async () => {
    const { access_token, id_token } = await system.tokens(system.provider.users.both)
    expect(await callBackend(system, access_token)).toEqual([200, ''])
    expect(await callBackend(system, id_token)).toEqual([401, 'invalid_token'])
    expect(await callBackend(system, 'garbage')).toEqual([401, 'invalid_token'])
  })

  it('answers 503 while the server is unavailable', async () => {
    const { access_token } = await system.tokens(system.provider.users.both)
    await system.front.fail('refuses')
    expect(await callBackend(system, access_token)).toEqual([503, ''])
    await system.front.open()
    expect(await callBackend(system, access_token)).toEqual([200, ''])
  })
})
