/** The tags of DER that certificates use (X.690 §8). */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

/** Returns the tag of `[n] IMPLICIT`, which replaces the tag of a primitive value. */
export const primitive = (n: number) => 0x80 | n
/** Returns the tag of `[n]` that wraps a value, or replaces the tag of a constructed value. */
export const constructed = (n: number) => 0xa0 | n
