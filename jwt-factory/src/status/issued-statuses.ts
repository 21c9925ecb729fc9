import { randomBytes } from 'node:crypto'
import { type Clock, HttpError } from '@hallpass/service-kit'
import { StoreUnavailableError, type Zone } from '@hallpass/token-store'
import { STATUS, StatusList } from '@hallpass/tokens'

/**
 * The indexes of a list: 16 KB uncompressed, 1.5 KB if one token in a hundred is revoked. A list that is filled within its hour
 * serves 36 tokens a second; a busier issuer has more lists at a time.
 */
const LIST_SIZE = 2 ** 17
/** The indexes that a replica reserves at a time: one write for 256 tokens; a crash leaves at most as many unused. */
const BLOCK_SIZE = 256
/** How long a replica uses a block, so that a list has a known end however rarely tokens are issued. */
const BLOCK_MS = 60_000
/** After this time a new list is begun even if the old one is not full, so that it can end. */
const LIST_OPEN_MS = 3_600_000
/** More than the clock skew of replicas and verifiers. */
const SLACK_MS = 120_000
/** The writes that a failover loses are milliseconds old, and no others follow until it is over. */
const RECENT_MS = 60_000
/** Each attempt fails only because another replica's succeeded. */
const MAX_ATTEMPTS = 100

const OPEN = 'open'
const LIST_ID = /^[A-Za-z0-9_-]{16}$/

/** Where the status of a token is. */
export interface IssuedStatus {
  readonly listId: string
  readonly index: number
}

export interface IssuedStatusesOptions {
  /** Shared by all replicas; its entries must not be evicted. */
  readonly zone: Zone
  readonly clock: Clock
  /** The longest lifetime of a token, after which its status is no longer needed. */
  readonly maxLifetimeSeconds: number
}

interface OpenList {
  readonly id: string
  readonly openedAt: number
  /** The first index that no replica has reserved. */
  readonly next: number
}

interface Block {
  readonly listId: string
  readonly usableUntil: number
  readonly end: number
  next: number
}

/**
 * The statuses of all tokens of the issuer, in lists that all replicas share. Each replica reserves blocks of indexes by
 * compare-and-set, so no index is given to two tokens. A list ends with its last token.
 */
export class IssuedStatuses {
  readonly #options: IssuedStatusesOptions
  #block: Block | undefined
  #reserving: Promise<void> | undefined
  /** How often the store may have lost a reservation, whose indexes it would then give again. */
  #doubts = 0
  /** As of the last list that this replica has begun or has no reason to doubt. */
  #settled = 0
  #isFollowing = false
  readonly #recent = new Map<IssuedStatus, number>()

  constructor(options: IssuedStatusesOptions) {
    this.#options = options
    options.zone.watch((change) => {
      if (change === 'missed' || change === 'emptied') void this.#putBack(change)
    })
  }

  /** After a failover, which may have lost the last writes: begins a new list, and stores again what this replica stored lately. */
  async #putBack(change: 'missed' | 'emptied'): Promise<void> {
    const isStart = change === 'missed' && !this.#isFollowing
    this.#isFollowing = true
    if (isStart) return
    const used = this.#block?.listId
    this.#block = undefined
    this.#doubts += 1
    try {
      if (used !== undefined) await this.#keep(used)
      for (const status of [...this.#recent.keys()]) await this.#setRevoked(status)
    } catch {
      // The store has failed again; the next change that is missed comes with its return.
    }
  }

  /**
   * Returns a place for the status of a new token.
   * @throws {StoreUnavailableError} if a block cannot be reserved; the token must then not be issued
   */
  async place(): Promise<IssuedStatus> {
    for (;;) {
      const index = this.#take()
      if (index) return index
      // Many tokens wait for one reservation.
      this.#reserving ??= this.#reserve().finally(() => {
        this.#reserving = undefined
      })
      await this.#reserving
    }
  }

  #take(): IssuedStatus | undefined {
    const block = this.#block
    if (!block || block.next >= block.end || this.#options.clock() >= block.usableUntil) return undefined
    const { listId, next: index } = block
    block.next += 1
    return { listId, index }
  }

  async #reserve(): Promise<void> {
    const { zone, clock } = this.#options
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const doubts = this.#doubts
      // A new master may answer before this replica hears that it is one.
      if (this.#isFollowing && !zone.isWatching())
        throw new StoreUnavailableError(new Error('changes may have been missed'))
      const seen = await zone.get(OPEN)
      const now = clock()
      const open = seen && (JSON.parse(seen.value) as OpenList)
      const isUsable =
        open !== undefined &&
        doubts === this.#settled &&
        open.next + BLOCK_SIZE <= LIST_SIZE &&
        now < open.openedAt + LIST_OPEN_MS
      const list = isUsable ? open : { id: randomBytes(12).toString('base64url'), openedAt: now, next: 0 }
      // Before the block is reserved: no token may refer to a list that does not exist, or that ends before the token.
      await this.#keep(list.id)
      const next: OpenList = { ...list, next: list.next + BLOCK_SIZE }
      if (
        await zone.replace(OPEN, seen, { value: JSON.stringify(next), endsAt: list.openedAt + LIST_OPEN_MS })
      ) {
        if (doubts !== this.#doubts) continue
        this.#settled = doubts
        const { id: listId, next: first } = list
        this.#block = { listId, next: first, end: first + BLOCK_SIZE, usableUntil: now + BLOCK_MS }
        // Once an hour. Listing a pinned zone removes what has ended; if that fails, the next new list tries again.
        if (!isUsable) void this.ids().catch(() => {})
        return
      }
    }
    throw contended()
  }

  /** Creates a list, or extends it until the last token of a block that is reserved now has expired. */
  #keep(id: string): Promise<void> {
    const endsAt = this.#options.clock() + BLOCK_MS + this.#options.maxLifetimeSeconds * 1000 + SLACK_MS
    return this.#change(id, (value, end) => {
      if (value !== undefined && end >= endsAt) return undefined
      return { value: value ?? StatusList.ofSize(LIST_SIZE).encode().lst, endsAt }
    }).then(() => {})
  }

  /**
   * Revokes a token. Idempotent; a token without a status, or whose list has ended, needs no revocation here.
   * @throws {StoreUnavailableError} if it is not revoked
   */
  async revoke(status: IssuedStatus): Promise<void> {
    await this.#setRevoked(status)
    const now = performance.now()
    // In the order of insertion.
    for (const [old, at] of this.#recent)
      if (now - at > RECENT_MS) this.#recent.delete(old)
      else break
    this.#recent.set(status, now)
  }

  async #setRevoked(status: IssuedStatus): Promise<void> {
    await this.#change(status.listId, (value, endsAt) => {
      if (value === undefined) return undefined
      const list = decoded(value)
      const before = list.get(status.index)
      if (before === undefined || before === STATUS.revoked) return undefined
      list.set(status.index, STATUS.revoked)
      return { value: list.encode().lst, endsAt }
    })
  }

  /** Returns a list as it is in the store now; undefined if there is none with this ID. */
  async list(id: string): Promise<StatusList | undefined> {
    if (!LIST_ID.test(id)) return undefined
    const seen = await this.#options.zone.get(keyOf(id))
    return seen && decoded(seen.value)
  }

  /** Returns the IDs of all lists. */
  async ids(): Promise<string[]> {
    const ids: string[] = []
    for await (const [key] of this.#options.zone.entries())
      if (key.startsWith(LIST_PREFIX)) ids.push(key.slice(LIST_PREFIX.length))
    return ids.sort()
  }

  /** Changes a list by compare-and-set; `change` returns undefined if nothing is to be changed. */
  async #change(
    id: string,
    change: (value: string | undefined, endsAt: number) => { value: string; endsAt: number } | undefined,
  ): Promise<void> {
    const { zone } = this.#options
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const seen = await zone.get(keyOf(id))
      const next = change(seen?.value, seen?.endsAt ?? 0)
      if (!next || (await zone.replace(keyOf(id), seen, next))) return
    }
    throw contended()
  }
}

const LIST_PREFIX = 'list '
const keyOf = (id: string) => LIST_PREFIX + id
const decoded = (lst: string) => StatusList.decode({ bits: 1, lst })

const contended = () =>
  new HttpError(503, 'state_busy', 'Other replicas changed the status lists at the same time. Retry.', {
    headers: { 'retry-after': '1' },
  })
