import { loadOptional } from '../optional-module.ts'

/** A number that the token's library gives to a slot, a session or an object. */
export type Handle = Buffer

export interface Attribute {
  readonly type: number
  readonly value?: number | boolean | string | Buffer
}

export interface Mechanism {
  readonly mechanism: number
  readonly parameter?: unknown
}

export interface KeyPair {
  readonly privateKey: Handle
  readonly publicKey: Handle
}

/** The part of `pkcs11js` that is used. The functions have the names of PKCS#11 2.40 §5; those with `Async` run on the thread pool. */
export interface Pkcs11 {
  load(path: string): void
  close(): void
  C_Initialize(options: { readonly flags: number }): void
  C_Finalize(): void
  C_GetSlotList(tokenPresent: boolean): Handle[]
  C_GetTokenInfo(slot: Handle): { readonly label: string; readonly flags: number }
  C_GetMechanismList(slot: Handle): number[]
  C_OpenSession(slot: Handle, flags: number): Handle
  C_CloseSession(session: Handle): void
  C_CloseAllSessions(slot: Handle): void
  C_GetSessionInfo(session: Handle): unknown
  C_Login(session: Handle, userType: number, pin: string): void
  C_GenerateKeyPairAsync(
    session: Handle,
    mechanism: Mechanism,
    publicTemplate: readonly Attribute[],
    privateTemplate: readonly Attribute[],
  ): Promise<KeyPair>
  C_GetAttributeValue(session: Handle, object: Handle, template: readonly Attribute[]): Attribute[]
  C_SetAttributeValue(session: Handle, object: Handle, template: readonly Attribute[]): void
  C_FindObjectsInit(session: Handle, template: readonly Attribute[]): void
  C_FindObjects(session: Handle, count: number): Handle[]
  C_FindObjectsFinal(session: Handle): void
  C_DestroyObject(session: Handle, object: Handle): void
  C_SignInit(session: Handle, mechanism: Mechanism, key: Handle): void
  C_SignAsync(session: Handle, data: Buffer, output: Buffer): Promise<Buffer>
}

/** Creates an interface to a token's library; `load` then opens the file. @throws {ConfigError} */
export function newPkcs11(): Pkcs11 {
  const { PKCS11 } = loadOptional<{ PKCS11: new () => Pkcs11 }>('pkcs11js', 'SIGNER=pkcs11')
  return new PKCS11()
}

/** The constants of PKCS#11 2.40 and 3.0 that are used; `pkcs11js` has only those of 2.40. */
export const CK = {
  OS_LOCKING_OK: 0x2,
  SERIAL_SESSION: 0x4,
  RW_SESSION: 0x2,
  USER: 1,
  USER_PIN_FINAL_TRY: 0x20000,
  USER_PIN_LOCKED: 0x40000,
  PUBLIC_KEY: 2,
  PRIVATE_KEY: 3,
  PARAMS_RSA_PSS: 5,
} as const

export const CKK = { RSA: 0x0, EC: 0x3, EC_EDWARDS: 0x40 } as const

export const CKM = {
  RSA_PKCS_KEY_PAIR_GEN: 0x0,
  SHA256_RSA_PKCS: 0x40,
  SHA256_RSA_PKCS_PSS: 0x43,
  SHA256: 0x250,
  EC_KEY_PAIR_GEN: 0x1040,
  ECDSA: 0x1041,
  EC_EDWARDS_KEY_PAIR_GEN: 0x1055,
  EDDSA: 0x1057,
} as const

export const CKG_MGF1_SHA256 = 0x2

export const CKA = {
  CLASS: 0x0,
  TOKEN: 0x1,
  PRIVATE: 0x2,
  LABEL: 0x3,
  VALUE: 0x11,
  KEY_TYPE: 0x100,
  ID: 0x102,
  SENSITIVE: 0x103,
  SIGN: 0x108,
  VERIFY: 0x10a,
  MODULUS: 0x120,
  MODULUS_BITS: 0x121,
  PUBLIC_EXPONENT: 0x122,
  PRIVATE_EXPONENT: 0x123,
  EXTRACTABLE: 0x162,
  EC_PARAMS: 0x180,
  EC_POINT: 0x181,
} as const

/** Returns the name of a PKCS#11 return value, e.g. `CKR_DEVICE_REMOVED`; undefined for other errors. */
export function returnValueOf(error: unknown): string | undefined {
  const { name, message } = error as Error
  return name === 'Pkcs11Error' && message.startsWith('CKR_') ? message : undefined
}
