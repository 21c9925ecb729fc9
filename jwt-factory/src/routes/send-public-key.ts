import { sendJson } from '@hallpass/service-kit'
import { exportPublicPem, type VerificationKey } from '@hallpass/tokens'
import type { Response } from 'express'

/** Sends the key in the documented form: base64-encoded PEM. */
export function sendPublicKey(response: Response, key: VerificationKey) {
  sendJson(response, 200, { publicKey: Buffer.from(exportPublicPem(key)).toString('base64') })
}
