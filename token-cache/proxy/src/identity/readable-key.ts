/**
 * Returns an entry's key as an operator writes it: the fields of the identity separated by colons, as in
 * `user1:curl/7.86.0`. In all fields except the last, `%` and `:` are percent-encoded, so that each key means one identity:
 * the user `a:b` with the agent `c` is `a%3Ab:c`, the user `a` with the agent `b:c` is `a:b:c`.
 */
export function readableKey(fields: readonly string[]): string {
  const last = fields.length - 1
  return fields.map((field, index) => (index === last ? field : escapeField(field))).join(':')
}

/** Returns a user as an operator writes it, which is the first field of each of its keys. */
export const readableUser = (user: string): string => escapeField(user)

/** Returns the fields of a readable key, fewer than `count` if it has fewer colons. */
export function parseReadableKey(key: string, count: number): string[] {
  const fields: string[] = []
  let rest = key
  while (fields.length < count - 1) {
    const colon = rest.indexOf(':')
    if (colon < 0) break
    fields.push(unescapeField(rest.slice(0, colon)))
    rest = rest.slice(colon + 1)
  }
  // If the key has only its first fields (a user), this is not the last field of an identity, so it is escaped.
  fields.push(fields.length < count - 1 ? unescapeField(rest) : rest)
  return fields
}

const escapeField = (field: string) => field.replace(/%/g, '%25').replace(/:/g, '%3A')

const unescapeField = (field: string) => field.replace(/%3A/gi, ':').replace(/%25/g, '%')
