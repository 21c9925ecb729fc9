import { join } from 'node:path'
import { parseStateFile, readPrivateIfThere, StateFileError, writePrivateFile } from '@hallpass/private-files'
import type { Clock } from '@hallpass/service-kit'
import { AuthorityCycle, type Stage } from './authority-cycle.ts'
import {
  type CertificateAuthority,
  makeCertificateAuthority,
  restoreCertificateAuthority,
  type StoredCertificateAuthority,
  storeCertificateAuthority,
} from './certificate-authority.ts'
import {
  type JwtAlgorithm,
  type JwtAuthority,
  makeJwtAuthority,
  restoreJwtAuthority,
  type StoredJwtAuthority,
  storeJwtAuthority,
} from './jwt-authority.ts'

export interface AuthoritiesOptions {
  readonly folder: string
  readonly trustDomain: string
  readonly x509LifetimeMs: number
  readonly jwtLifetimeMs: number
  readonly jwtAlgorithm: JwtAlgorithm
  readonly overlapMs: number
  readonly longestX509SvidMs: () => number
  readonly longestJwtSvidMs: () => number
  readonly clock: Clock
}

export const AUTHORITY_KINDS = ['x509', 'jwt'] as const
export type AuthorityKind = (typeof AUTHORITY_KINDS)[number]

/** Deleting the file invalidates what the old authorities signed, so workloads need new SVIDs. */
const REMEDY =
  'Restore it, or delete it and start again: new authorities are created, and workloads get new SVIDs.'

type Stored<A> = Omit<Stage<never>, 'authority'> & { readonly authority: A }
interface StateFile {
  readonly trustDomain: string
  readonly sequence: number
  readonly x509: readonly Stored<StoredCertificateAuthority>[]
  readonly jwt: readonly Stored<StoredJwtAuthority>[]
}

/**
 * The authorities of the trust domain, stored with their keys in one file that only its owner can read. An authority is written
 * before it is published, so that a restart never loses one that workloads trust.
 */
export class Authorities {
  readonly x509: AuthorityCycle<CertificateAuthority>
  readonly jwt: AuthorityCycle<JwtAuthority>
  readonly #options: AuthoritiesOptions
  readonly #file: string
  #sequence: number
  #unsaved = false

  private constructor(options: AuthoritiesOptions, file: string, state: StateFile | undefined) {
    const { trustDomain, clock, overlapMs, x509LifetimeMs, jwtLifetimeMs, jwtAlgorithm } = options
    this.#options = options
    this.#file = file
    this.#sequence = state?.sequence ?? 0
    this.x509 = new AuthorityCycle(
      {
        make: () => makeCertificateAuthority(trustDomain, x509LifetimeMs, clock()),
        longestSvidMs: options.longestX509SvidMs,
        overlapMs,
        clock,
      },
      mapAuthorities(state?.x509 ?? [], restoreCertificateAuthority),
    )
    this.jwt = new AuthorityCycle(
      {
        make: () => makeJwtAuthority(jwtAlgorithm, jwtLifetimeMs, clock()),
        longestSvidMs: options.longestJwtSvidMs,
        overlapMs,
        clock,
      },
      mapAuthorities(state?.jwt ?? [], restoreJwtAuthority),
    )
  }

  /** @throws {StateFileError} if the state file belongs to another trust domain or is unusable. */
  static async open(options: AuthoritiesOptions): Promise<Authorities> {
    const file = join(options.folder, 'authorities.json')
    const text = await readPrivateIfThere(file)
    const restore = (content: string): Authorities => {
      const state = JSON.parse(content) as StateFile
      if (state.trustDomain !== options.trustDomain)
        throw new StateFileError(
          file,
          `contains the keys of the trust domain ${state.trustDomain}, not of ${options.trustDomain}`,
          'Set TRUST_DOMAIN to that one, or move the file away: new authorities are created.',
        )
      return new Authorities(options, file, state)
    }
    const authorities =
      text === undefined
        ? new Authorities(options, file, undefined)
        : parseStateFile(file, text, "the agent's authorities with their keys (JSON)", restore, REMEDY)
    await authorities.advance()
    return authorities
  }

  /** Counts the changes of the bundle (SPIFFE bundle format §4.1.1). */
  get sequence(): number {
    return this.#sequence
  }

  /** Does what is due by the clock; returns true if the bundle or a signing authority has changed. */
  async advance(): Promise<boolean> {
    const changed = [await this.x509.advance(), await this.jwt.advance()].includes(true)
    if (changed) this.#sequence += 1
    if (changed || this.#unsaved) await this.#save()
    return changed
  }

  /** Publishes a new authority, which signs after the overlap. */
  async rotate(kind: AuthorityKind): Promise<string> {
    const { id } = await this[kind].rotate()
    await this.#changed()
    return id
  }

  /** Removes the old authorities from the bundle: what they signed is rejected from now on. */
  async retire(kind: AuthorityKind): Promise<string[]> {
    const retired = await this[kind].retire()
    if (retired.length > 0) await this.#changed()
    return retired.map(({ id }) => id)
  }

  async #changed() {
    this.#sequence += 1
    await this.#save()
  }

  async #save() {
    this.#unsaved = true
    const state: StateFile = {
      trustDomain: this.#options.trustDomain,
      sequence: this.#sequence,
      x509: mapAuthorities(this.x509.stages, storeCertificateAuthority),
      jwt: mapAuthorities(this.jwt.stages, storeJwtAuthority),
    }
    await writePrivateFile(this.#file, `${JSON.stringify(state, null, 2)}\n`)
    this.#unsaved = false
  }
}

const mapAuthorities = <A, B>(
  stages: readonly (Omit<Stage<never>, 'authority'> & { readonly authority: A })[],
  map: (authority: A) => B,
) => stages.map(({ authority, ...stage }) => ({ ...stage, authority: map(authority) }))
