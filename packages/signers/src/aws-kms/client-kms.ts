import { KeyError } from '@hallpass/tokens'
import { loadOptional } from '../optional-module.ts'
import { SignerUnavailableError } from '../signers.ts'

export interface KmsOptions {
  readonly region: string
  /** Another address than that of the region, e.g. a VPC endpoint or a test server. */
  readonly endpoint?: string | undefined
}

type Command = new (input: Readonly<Record<string, unknown>>) => unknown

/** The part of `@aws-sdk/client-kms` that is used. */
interface Sdk {
  readonly KMSClient: new (
    options: Readonly<Record<string, unknown>>,
  ) => {
    send(command: unknown, options: { readonly abortSignal: AbortSignal }): Promise<unknown>
    destroy(): void
  }
  readonly KeySpec: Readonly<Record<string, string>>
}

export const SYSTEM = 'AWS KMS'

/** A client of the issuer gives up after five seconds; this leaves time for the answer. Includes all attempts. */
const CALL_MS = 4_000
/** Of one attempt, so that a lost packet leaves time for another. */
const ATTEMPT_MS = 1_500
const CONNECT_MS = 1_000
const MAX_ATTEMPTS = 3

/** Faults that another attempt cannot end, because the key or its reference is at fault. */
const KEY_FAULTS: Readonly<Record<string, string>> = {
  NotFoundException: 'is not in KMS',
  InvalidArnException: 'has a damaged reference',
  ValidationException: 'has a damaged reference',
  InvalidKeyUsageException: 'is for another use',
  IncorrectKeyException: 'is not the key that wrapped it',
  InvalidCiphertextException: 'is damaged, or belongs to another key ID',
}

/** AWS KMS: one attempt after another within a time limit, and errors that tell a fault of a key from one of the system. */
export class KmsClient {
  readonly #sdk: Sdk
  readonly #client: InstanceType<Sdk['KMSClient']>

  /** @throws {ConfigError} if `@aws-sdk/client-kms` is not installed. */
  constructor({ region, endpoint }: KmsOptions, setting: string) {
    this.#sdk = loadOptional<Sdk>('@aws-sdk/client-kms', setting)
    this.#client = new this.#sdk.KMSClient({
      region,
      ...(endpoint === undefined ? {} : { endpoint }),
      maxAttempts: MAX_ATTEMPTS,
      requestHandler: {
        connectionTimeout: CONNECT_MS,
        requestTimeout: ATTEMPT_MS,
        throwOnRequestTimeout: true,
      },
    })
  }

  /** Tells whether the installed SDK knows a kind of key. */
  knowsKeySpec(spec: string): boolean {
    return Object.values(this.#sdk.KeySpec).includes(spec)
  }

  /**
   * Makes a call, e.g. `call('Sign', { KeyId, … })`.
   * @param subject what the call is about, for messages, e.g. a kid
   * @throws {KeyError} `invalid_key` if the key or its reference is at fault.
   * @throws {SignerUnavailableError} otherwise.
   */
  async call<T>(name: string, input: Readonly<Record<string, unknown>>, subject: string): Promise<T> {
    const Call = (this.#sdk as unknown as Record<string, Command>)[`${name}Command`] as Command
    const abortSignal = AbortSignal.timeout(CALL_MS)
    try {
      return (await this.#client.send(new Call(input), { abortSignal })) as T
    } catch (cause) {
      const fault = faultOf(cause, abortSignal)
      const keyFault = KEY_FAULTS[fault]
      if (keyFault !== undefined) throw new KeyError('invalid_key', `Key ${subject} ${keyFault}.`, { cause })
      throw new SignerUnavailableError(SYSTEM, fault, cause)
    }
  }

  close(): void {
    this.#client.destroy()
  }
}

/** Returns the name of an error. Its message stays in the log: it may contain account numbers and role names. */
function faultOf(error: unknown, { aborted }: AbortSignal): string {
  if (aborted) return `no answer within ${CALL_MS} ms`
  const { name, code, message } = error as NodeJS.ErrnoException
  if (name === 'TimeoutError') return 'no answer'
  if (name === 'CredentialsProviderError') return 'no credentials'
  // A proxy or another server answered in place of KMS.
  if (name === 'SyntaxError') return 'its answer is not JSON'
  return name === 'Error' || name === 'AggregateError' ? (code ?? message) : name
}
