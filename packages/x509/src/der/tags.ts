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

/** The tag of `[n]`, IMPLICIT, in place of a primitive value's own tag. */
export const primitive = (n: number) => 0x80 | n
/** The tag of `[n]` around a value, or in place of the tag of a constructed one. */
export const constructed = (n: number) => 0xa0 | n
