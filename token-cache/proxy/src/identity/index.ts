export { canonicalFieldOf, headerValue } from './canonical-field.ts'
export { byBearer, byRemoteUser, IDENTITY_FIELDS, type Identify, type IdentityField } from './identify.ts'
export { describeIdentity, type Identity, KeyMaker, USER } from './identity.ts'
export { parseReadableKey, readableKey, readableUser } from './readable-key.ts'
