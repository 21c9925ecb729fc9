export { checkPublications } from './check-publications.ts'
export { JsonObjectError, JsonObjectParser, MAX_OBJECT_BYTES } from './json-object-parser.ts'
export { type Publication, PublicationError, toPublication } from './publication.ts'
export { EVERY_TOPIC, type Topics } from './topics.ts'
