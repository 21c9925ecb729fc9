import { dirname } from 'node:path'
import { ensurePrivateFolder } from '@hallpass/private-files'
import { type HttpService, httpService, jsonBody, type Logger } from '@hallpass/service-kit'
import type { Agent } from '../agent.ts'
import { removeStale } from '../attestation/index.ts'
import type { Config } from '../config.ts'
import { listAuthorities, retire, rotate } from '../routes/authorities.ts'
import { showBundle } from '../routes/bundle.ts'
import { addEntry, listEntries, removeEntry, setRevoked } from '../routes/entries.ts'
import { listSvids } from '../routes/svids.ts'

/** Makes the admin API for the agent's owner: HTTP on a unix socket that only the owner can open. */
export async function adminApi(agent: Agent, config: Config, log: Logger): Promise<HttpService> {
  await ensurePrivateFolder(dirname(config.adminSocket))
  await removeStale(config.adminSocket)
  return httpService({
    name: 'spiffe-agent-admin',
    log,
    config,
    listeners: [{ name: 'admin', path: config.adminSocket }],
    routes: (app) => {
      app.use(jsonBody())
      app.get('/entries', listEntries(agent))
      app.post('/entries', addEntry(agent))
      app.delete('/entries/:id', removeEntry(agent))
      app.post('/entries/:id/revoke', setRevoked(agent, true))
      app.post('/entries/:id/restore', setRevoked(agent, false))
      app.get('/svids', listSvids(agent))
      app.get('/authorities', listAuthorities(agent))
      app.post('/authorities/:kind/rotate', rotate(agent, config.rotationOverlapSeconds))
      app.post('/authorities/:kind/retire', retire(agent))
      app.get('/bundle', showBundle(agent.bundles))
    },
  })
}
