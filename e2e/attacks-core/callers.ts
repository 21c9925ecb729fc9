import { TestCallers } from '@hallpass/callers/testing'

const RIGHTS = {
  servicea: { keyId: 'servicea', audiences: ['serviceb', 'servicec'], scopes: ['orders:read'] },
  serviceb: { keyId: 'serviceb' },
  servicec: { keyId: 'servicec' },
  operator: { admin: true },
}

/** The callers of a system with authenticated callers. */
export class Callers extends TestCallers<keyof typeof RIGHTS> {
  constructor() {
    super(RIGHTS)
  }

  /** For `prepare` of the services. */
  prepareServices = async (stateFolder: string) => {
    const authenticated = await this.prepare(stateFolder)
    const keyOf = (name: keyof typeof RIGHTS) => ({ CALLER_KEY_FILE: this.keyFile(name) })
    return {
      'jwt-factory': authenticated,
      'service-a': { ...authenticated, ...keyOf('servicea') },
      'service-b': keyOf('serviceb'),
      'service-c': keyOf('servicec'),
    }
  }

  override as(name: keyof typeof RIGHTS, audience = 'https://jwt-factory/'): Promise<string> {
    return super.as(name, audience)
  }
}
