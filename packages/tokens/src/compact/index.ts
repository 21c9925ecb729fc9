export { decodeBase64url } from './base64url.ts'
export {
  type Claims,
  type CompactParts,
  MAX_TOKEN_LENGTH,
  type ParsedToken,
  type Refuser,
  readCompact,
  type TokenHeader,
} from './compact.ts'
export { findNonJson } from './json-object.ts'
