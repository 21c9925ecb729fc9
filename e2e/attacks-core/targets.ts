import { afterAll, beforeAll } from '@jest/globals'
import { TestClock } from '../test-clock.ts'
import { Callers } from './callers.ts'
import { Lab } from './lab.ts'
import { ScenarioSuite } from './scenario-suite.ts'

/** The services that all sections share, because starting them takes longer than most attacks. */

export const clockOfB = new TestClock()
export const lab = new Lab({ prepare: async () => ({ 'service-b': clockOfB.env }) })

/** Services with authenticated callers, as outside development mode. */
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
