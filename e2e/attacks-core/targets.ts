import { afterAll, beforeAll } from '@jest/globals'
import { TestClock } from '../test-clock.ts'
import { Callers } from './callers.ts'
import { Lab } from './lab.ts'
import { ScenarioSuite } from './scenario-suite.ts'

/** What every section attacks: to start it takes longer than most of the attacks. */

export const clockOfB = new TestClock()
export const lab = new Lab({ prepare: async () => ({ 'service-b': clockOfB.env }) })

/** Services whose callers must prove who they are, as anywhere but on a developer's own machine. */
export const callers = new Callers()
export const guarded = new ScenarioSuite({ prepare: callers.prepareServices, keys: false })

beforeAll(async () => {
  await Promise.all([lab.start(), guarded.start()])
  await guarded
    .get('jwt-factory', '/keys/servicea')
    .set('authorization', await callers.as('operator'))
    .expect(200)
  await guarded
    .post('service-a', '/gen-keys')
    .set('authorization', await callers.as('operator', 'servicea'))
    .expect(200)
}, 60_000)
afterAll(async () => {
  await Promise.all([lab.stop(), guarded.stop()])
  clockOfB.remove()
})
