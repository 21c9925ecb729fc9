import type { SuiteProcess } from './suite.ts'

/**
 * Does what the documented curl commands do before the first scenario: the keys of services A and B at the factory,
 * saved for the next start, and the key with which service A signs for itself.
 */
export async function provision(processes: readonly SuiteProcess[]): Promise<void> {
  const url = (name: string) => processes.find((service) => service.name === name)?.urls.PORT
  const factory = url('jwt-factory')
  await Promise.all([
    call(`${factory}/keys/servicea`)
      .then(() => call(`${factory}/keys/serviceb`))
      .then(() => call(`${factory}/utils/dump`, 'POST')),
    call(`${url('service-a')}/gen-keys?missing=1`, 'POST'),
  ])
}

async function call(url: string, method = 'GET') {
  const response = await fetch(url, { method })
  if (!response.ok) throw new Error(`${method} ${url} answered ${response.status}: ${await response.text()}`)
}
