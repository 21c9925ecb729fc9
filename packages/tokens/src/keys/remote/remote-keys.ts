import { type KeyFinder, keyNamed } from '../key-finder.ts'
import { RemoteKeySet } from './key-set.ts'
import { MoreRemoteKeys } from './more-keys.ts'
import type { RemoteKeysOptions } from './options.ts'

/**
 * Makes a finder for the keys that an issuer publishes. The set is cached, loaded by one request at a time, and loaded again
 * if a token names an unknown key or its signature is not by the key with this kid. If a load fails, or the new set is rejected, the last valid set stays in use.
 * The finder fails with what `load` threw, or with a KeySetError, if there is no usable set, or if the key is unknown and the last load failed;
 * with a KeyNotLoadedError if the key is unknown and nothing may be loaded for a token now.
 */
export function remoteKeys(options: RemoteKeysOptions): KeyFinder {
  const set = new RemoteKeySet(options)
  const { loadKey } = options
  const more = loadKey && new MoreRemoteKeys({ ...options, loadKey })
  const findMore = (kid: string | undefined) => (kid === undefined ? undefined : more?.find(kid))
  const find: KeyFinder = (issuer, kid, alg, beforeLoad) => {
    if (issuer !== options.issuer) return undefined
    const current = set.usable()
    const key = current && keyNamed(current, kid, alg)
    if (key) return key
    if (current && more) return kid === undefined ? undefined : more.find(kid, beforeLoad)
    beforeLoad?.()
    return set
      .search((keys) => keyNamed(keys, kid, alg), current !== undefined)
      .then((found) => found ?? findMore(kid) ?? set.unknown())
  }
  const replaced: KeyFinder['replaced'] = (issuer, kid, alg, rejected) => {
    if (issuer !== options.issuer || !set.mayReload('for a token')) return undefined
    return set.renewed(true).then((keys) => {
      const key = keyNamed(keys, kid, alg)
      return key === rejected ? undefined : key
    })
  }
  const withdrawnAt: KeyFinder['withdrawnAt'] = async (issuer, key) => {
    if (issuer !== options.issuer) return undefined
    const at = await set.withdrawnAt(key)
    return at !== undefined && more ? more.withdrawnAt(key) : at
  }
  return Object.assign(find, { replaced, withdrawnAt })
}
