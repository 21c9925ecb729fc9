export {
  DerError,
  DerReader,
  type Element,
  inside,
  readBits,
  readBoolean,
  readObjectIdentifier,
  readSmallInteger,
  readTime,
  splitSequences,
} from './reader.ts'
export { constructed, primitive, TAG } from './tags.ts'
export {
  bitString,
  booleanTrue,
  explicit,
  implicit,
  integer,
  octetString,
  oid,
  printableString,
  sequence,
  set,
  time,
  utf8String,
} from './writer.ts'
