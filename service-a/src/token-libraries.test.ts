import { libraries } from '@hallpass/tokens'
import { describe, expect, it } from '@jest/globals'
import { loadConfig } from './config.ts'
import { useScenarioServices } from './testing.ts'

const names = Object.keys(libraries)

describe('TOKEN_LIBRARY', () => {
  // The factory uses one library, service A the next, service B the one after that.
  describe.each(names.map((name, index) => [name, after(index, 1), after(index, 2)]))(
    'with %s at the factory, %s at service A and %s at service B',
    (factory, serviceA, serviceB) => {
      const services = useScenarioServices({
        prepare: async () => ({
          'jwt-factory': { TOKEN_LIBRARY: factory },
          'service-a': { TOKEN_LIBRARY: serviceA },
          'service-b': { TOKEN_LIBRARY: serviceB },
        }),
      })

      it.each([1, 3])('scenario %i accepts a valid token and rejects an expired one', async (scenario) => {
        const { body } = await services.get('service-a', `/scenario${scenario}`)
        expect(body).toMatchObject({ valid: true, claims: { sub: 'servicea', aud: 'serviceb' } })
        const expired = await services.get('service-a', `/scenario${scenario}?expired=1`)
        expect(expired.body).toMatchObject({
          valid: false,
          error: { name: 'TokenExpiredError', message: 'jwt expired' },
        })
      })
    },
  )

  it('must be a supported library', () => {
    expect(() => loadConfig({ TOKEN_LIBRARY: 'jwt' })).toThrow(
      'TOKEN_LIBRARY: Unknown token library jwt; expected one of node-crypto, jsonwebtoken, jose, node-jose.',
    )
  })
})

function after(index: number, steps: number): string {
  return names[(index + steps) % names.length] as string
}
