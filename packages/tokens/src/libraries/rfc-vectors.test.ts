import { createPublicKey } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { splitCompact } from '../compact/compact.ts'
import {
  parseCompact,
  parseJwks,
  thumbprint,
  type VerificationKey,
  verifySignature,
  verifyToken,
} from '../index.ts'
import { libraries } from './libraries.ts'

/** The claims that all examples of RFC 7515 Appendix A sign, line breaks and all. */
const CLAIMS =
  'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'

const RFC_7515_A2 = {
  key: {
    kty: 'RSA',
    n:
      'ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR' +
      'T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB' +
      'dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9ia' +
      'GNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ',
    e: 'AQAB',
  },
  token:
    `eyJhbGciOiJSUzI1NiJ9.${CLAIMS}.` +
    'cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJ' +
    'dbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN' +
    '9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXL' +
    'IhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw',
}

const RFC_7515_A3 = {
  key: {
    kty: 'EC',
    crv: 'P-256',
    x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
  },
  token: `eyJhbGciOiJFUzI1NiJ9.${CLAIMS}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q`,
}

const RFC_8037_A = {
  key: { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' },
  thumbprint: 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
  // Its payload is a sentence, not claims.
  token:
    'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.' +
    'hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg',
}

const keyOf = (jwk: object) => parseJwks({ keys: [jwk] })[0] as VerificationKey

describe.each([
  ['RFC 7515 A.2 (RS256)', RFC_7515_A2],
  ['RFC 7515 A.3 (ES256)', RFC_7515_A3],
  ['RFC 8037 A.4 (EdDSA)', RFC_8037_A],
])('%s', (_, { key, token }) => {
  const verificationKey = keyOf(key)
  const parts = splitCompact(token, { fail: (reason) => new Error(reason) })
  it.each(
    Object.values(libraries)
      .filter(({ algorithms }) => algorithms.includes(verificationKey.alg))
      .map((library) => [library.name, library] as const),
  )('has a valid signature according to %s', async (_name, library) => {
    await expect(verifySignature(parts, verificationKey, library)).resolves.toBe(true)
  })

  it('has an invalid signature if a bit is changed', async () => {
    const signature = Buffer.from(parts.signature)
    signature[7] = (signature[7] as number) ^ 1
    await expect(verifySignature({ ...parts, signature }, verificationKey)).resolves.toBe(false)
  })
})

describe('the example of RFC 7515 Appendix A', () => {
  const rules = (now: number) => ({
    issuer: 'joe',
    audience: 'anybody',
    subject: 'anybody',
    keys: () => keyOf(RFC_7515_A2.key),
    maxLifetimeSeconds: 60,
    clock: () => now * 1000,
  })

  it('parses as claims', () => {
    expect(parseCompact(RFC_7515_A2.token).payload).toEqual({
      iss: 'joe',
      exp: 1_300_819_380,
      'http://example.com/is_root': true,
    })
  })

  it('expires at its exp, and has no audience', async () => {
    await expect(verifyToken(RFC_7515_A2.token, rules(1_300_819_380))).rejects.toMatchObject({
      reason: 'expired',
      expiredAt: new Date('2011-03-22T18:43:00Z'),
    })
    await expect(verifyToken(RFC_7515_A2.token, rules(1_300_819_379))).rejects.toMatchObject({
      reason: 'audience_mismatch',
    })
  })

  it('is rejected under HMAC (A.1) and without any signature (A.5)', async () => {
    const hmac = `eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.${CLAIMS}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk`
    await expect(verifyToken(hmac, rules(0))).rejects.toMatchObject({ message: 'invalid algorithm' })
    await expect(verifyToken(`eyJhbGciOiJub25lIn0.${CLAIMS}.`, rules(0))).rejects.toMatchObject({
      message: 'jwt signature is required',
    })
  })
})

describe('a thumbprint', () => {
  it('is the one of RFC 7638 §3.1', () => {
    const key = createPublicKey({
      format: 'jwk',
      key: {
        kty: 'RSA',
        n:
          '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjB' +
          'ZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8' +
          'KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_' +
          'xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
        e: 'AQAB',
      },
    })
    expect(thumbprint(key)).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
  })

  it('is the one of RFC 8037 A.3', () => {
    expect(keyOf(RFC_8037_A.key).kid).toBe(RFC_8037_A.thumbprint)
  })
})
