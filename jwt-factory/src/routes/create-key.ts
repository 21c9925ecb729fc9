import { sendJson } from '@hallpass/service-kit'
import { exportPublicPem, type VerificationKey } from '@hallpass/tokens'
import type { RequestHandler, Response } from 'express'
import type { KeyFiles } from '../key-files.ts'
import { newKeyIdOf } from '../key-id.ts'
import type { KeyStore } from '../key-store.ts'

/** `GET /keys/:keyId`: the public key of a key id, whose pair is made on the first call and stays the same after. */
export function getOrCreateKey(keys: KeyStore): RequestHandler {
  return async (request, response) => {
    sendPublicKey(response, (await keys.getOrCreate(newKeyIdOf(request))).signing)
  }
}

/** `POST /keys/:keyId`: makes the pair, or lets the next one sign; what the old one has signed stays good. */
export function createOrRotateKey(keys: KeyStore, files: KeyFiles): RequestHandler {
  return async (request, response) => {
    const ring = await keys.createOrRotate(newKeyIdOf(request))
    const { signing } = ring
    if (files.hasSaved) await files.save(keys)
    sendPublicKey(response, signing)
  }
}

/** The documented form: base64 around the PEM. */
export function sendPublicKey(response: Response, key: VerificationKey) {
  sendJson(response, 200, { publicKey: Buffer.from(exportPublicPem(key)).toString('base64') })
}
