import { JsonObjectParser } from './json-object-parser.ts'
import { PUBLICATION_MEMBERS, PublicationError, toPublication } from './publication.ts'

/**
 * Reads the objects of a text and checks them by the server's rules before they are sent. It is stricter in one respect: the
 * server ignores unknown members, but a member that a user typed is probably a typing error.
 * @throws {JsonObjectError | PublicationError} for the first invalid object
 */
export function checkPublications(text: string): readonly Readonly<Record<string, unknown>>[] {
  const objects: Readonly<Record<string, unknown>>[] = []
  const parser = new JsonObjectParser({
    onObject(object) {
      const unknown = Object.keys(object).find((member) => !PUBLICATION_MEMBERS.includes(member))
      if (unknown !== undefined)
        throw new PublicationError(
          'bad_member',
          `${JSON.stringify(unknown)} is not a member of a publication. Allowed members: ${PUBLICATION_MEMBERS.join(', ')}.`,
        )
      toPublication(object)
      objects.push(object)
    },
    onError(error) {
      throw error
    },
  })
  parser.push(Buffer.from(text))
  parser.end()
  return objects
}
