import { JsonObjectParser } from './json-object-parser.ts'
import { PUBLICATION_MEMBERS, PublicationError, toPublication } from './publication.ts'

/**
 * Checks objects by the server's rules before they are sent, and returns their number. It is stricter in one respect: the
 * server ignores unknown members, but a member that a user typed is probably a typing error.
 * @throws {JsonObjectError | PublicationError} for the first invalid object
 */
export function checkPublications(text: string): number {
  let count = 0
  const parser = new JsonObjectParser({
    onObject(object) {
      const unknown = Object.keys(object).find((member) => !PUBLICATION_MEMBERS.includes(member))
      if (unknown !== undefined)
        throw new PublicationError(
          'bad_member',
          `${JSON.stringify(unknown)} is not a member of a publication. Allowed members: ${PUBLICATION_MEMBERS.join(', ')}.`,
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
