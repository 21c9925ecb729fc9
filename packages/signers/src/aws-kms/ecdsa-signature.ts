import { KeyError } from '@hallpass/tokens'
import { DerError, DerReader, type DerReader as Reader, TAG } from '@hallpass/x509/der'

/** Half of a signature by P-256. */
const INTEGER_BYTES = 32

/**
 * Converts an ECDSA signature from DER (RFC 3279 §2.2.3) to R and S of fixed length, as a JWS contains it (RFC 7518 §3.4).
 * @throws {KeyError} `invalid_key` if it is not strict DER of two positive integers of P-256.
 */
export function joseSignature(der: Uint8Array): Buffer {
  try {
    const outer = new DerReader(Buffer.from(der))
    const inner = new DerReader(outer.expect(TAG.sequence).content)
    outer.end()
    const signature = Buffer.concat([readInteger(inner), readInteger(inner)])
    inner.end()
    return signature
  } catch (cause) {
    if (!(cause instanceof DerError)) throw cause
    throw new KeyError('invalid_key', `The signature is not an ECDSA signature in DER (${cause.message}).`, {
      cause,
    })
  }
}

/** Reads a positive INTEGER in its shortest form, left-padded. */
function readInteger(reader: Reader): Buffer {
  const { content } = reader.expect(TAG.integer)
  const [first = 0x80, second = 0] = content
  if (first >= 0x80) throw new DerError('an integer is empty or negative')
  if (first === 0 && second < 0x80) throw new DerError('an integer is zero or not in its shortest form')
  const value = first === 0 ? content.subarray(1) : content
  if (value.length > INTEGER_BYTES) throw new DerError('an integer is too long')
  return Buffer.concat([Buffer.alloc(INTEGER_BYTES - value.length), value])
}
