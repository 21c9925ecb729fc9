import { badRequest, type Handler, HttpError, notFound } from '@hallpass/service-kit'
import type { Agent } from '../agent.ts'
import { EntriesError, EntryExists, NoSuchEntry } from '../entries/index.ts'

/** `GET /entries`: lists all entries. */
export const listEntries =
  (agent: Agent): Handler =>
  (_request, response) => {
    response.json({ entries: agent.entries.entries })
  }

/** `POST /entries`: adds an entry and writes it to the entries file. */
export const addEntry =
  (agent: Agent): Handler =>
  async (request, response) => {
    await edit(() => agent.addEntry(request.body))
    response.status(201).json({ id: request.body.id })
  }

/** `DELETE /entries/:id`: removes an entry; workloads without another one are rejected, also in open streams. */
export const removeEntry =
  (agent: Agent): Handler =>
  async (request, response) => {
    await edit(() => agent.removeEntry(String(request.params.id)))
    response.status(204).end()
  }

/** `POST /entries/:id/revoke` and `/restore`: revokes an entry that stays in the file, and restores it. */
export const setRevoked =
  (agent: Agent, revoked: boolean): Handler =>
  async (request, response) => {
    await edit(() => agent.setRevoked(String(request.params.id), revoked))
    response.status(204).end()
  }

async function edit(change: () => Promise<void>) {
  try {
    await change()
  } catch (error) {
    if (error instanceof NoSuchEntry) throw notFound('no_such_entry', error.message)
    if (error instanceof EntryExists) throw new HttpError(409, 'entry_exists', error.message)
    if (error instanceof EntriesError) throw badRequest('invalid_entry', error.problems.join('; '))
    throw error
  }
}
