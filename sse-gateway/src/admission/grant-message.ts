import type { Clock } from '@hallpass/service-kit'
import * as z from 'zod'
import type { Grant } from './grant.ts'

/** A grant in JSON: `JSON.stringify` of a {@link Grant}. {@link ReceivedGrants} makes it one of this gateway. */
export const grantMessage = z
  .object({
    issuer: z.string(),
    subject: z.string().optional(),
    /** JSON has no Infinity. */
    expiresAt: z.number().nullable(),
    roles: z.array(z.string()),
    jti: z.string().optional(),
    session: z.string().optional(),
    tokenId: z.string(),
    issuedAt: z.number().optional(),
    topics: z.object({ subscribe: z.array(z.string()), publish: z.array(z.string()) }).optional(),
    signer: z.object({ kid: z.string(), thumbprint: z.string() }).optional(),
  })
  .transform(
    ({ subject, expiresAt, jti, session, issuedAt, signer, ...rest }): Omit<Grant, 'verifiedAt'> => ({
      ...rest,
      subject,
      jti,
      session,
      issuedAt,
      signer,
      expiresAt: expiresAt ?? Number.POSITIVE_INFINITY,
    }),
  )

type Signer = NonNullable<Grant['signer']>

/** More keys than the issuers of a gateway have at a time; beyond it, grants of one key only lose their common object. */
const MAX_SIGNERS = 1_000

/** Turns the grants of messages into grants of this gateway. */
export class ReceivedGrants {
  readonly #clock: Clock
  readonly #signers = new Map<string, Signer>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * @param path the path of events that the grant is for: two paths can have different keys of one issuer
   * @param verifiedAt when the token was verified, by this gateway's clock, which also times its loads of the keys; for a
   *   message, now
   */
  receive(path: string, grant: z.infer<typeof grantMessage>, verifiedAt = this.#clock()): Grant {
    const { issuer, signer } = grant
    return {
      ...grant,
      signer: signer && this.#shared(`${path}\n${issuer}\n${signer.kid}\n${signer.thumbprint}`, signer),
      verifiedAt,
    }
  }

  /** Returns one object for all grants of a key: streams are grouped by it. */
  #shared(name: string, signer: Signer): Signer {
    const known = this.#signers.get(name)
    if (known) return known
    if (this.#signers.size >= MAX_SIGNERS) this.#signers.clear()
    this.#signers.set(name, signer)
    return signer
  }
}
