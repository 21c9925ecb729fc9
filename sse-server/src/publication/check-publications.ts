import { JsonObjectParser } from './json-object-parser.ts'
import { PUBLICATION_MEMBERS, PublicationError, toPublication } from './publication.ts'

/**
 * Checks objects before they are sent, by the server's own rules, and resolves to how many there are. Stricter in one
 * thing: the server ignores members that it does not know; a person who typed one has made a mistake.
 * @throws {JsonObjectError | PublicationError} for the first that is wrong
 */
export function checkPublications(text: string): number {
  let count = 0
  const parser = new JsonObjectParser({
    onObject(object) {
      const unknown = Object.keys(object).find((member) => !PUBLICATION_MEMBERS.includes(member))
      if (unknown !== undefined)
        throw new PublicationError(
          'bad_member',
          `${JSON.stringify(unknown)} is not a member of an event; it can have ${PUBLICATION_MEMBERS.join(', ')}.`,
        )
      toPublication(object)
      count += 1
    },
    onError(error) {
      throw error
    },
  })
  parser.push(Buffer.from(text))
  parser.end()
  return count
}
