/**
 * Returns a function that reads something anew for each connection, so that changed files need no restart. While they cannot
 * be read, e.g. because a certificate is new and its key is not yet, the last ones are used.
 * @param onFailed called when a read fails whose result is replaced by the last one
 */
export function lastGood<T>(read: () => Promise<T>, onFailed: (error: unknown) => void): () => Promise<T> {
  let last: { readonly value: T } | undefined
  return async () => {
    try {
      last = { value: await read() }
    } catch (error) {
      if (!last) throw error
      onFailed(error)
    }
    return last.value
  }
}
