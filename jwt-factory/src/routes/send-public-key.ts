import { sendJson } from '@hallpass/service-kit'
import { exportPublicPem, type VerificationKey } from '@hallpass/tokens'
import type { Response } from 'express'

/** Sends the signing key in the documented form, base64-encoded PEM, with its kid as `ETag`: see `expectedSigningKey`. */
export function sendPublicKey(response: Response, key: VerificationKey) {
  response.setHeader('etag', `"${key.kid}"`)
  sendJson(response, 200, { publicKey: Buffer.from(exportPublicPem(key)).toString('base64') })
}
