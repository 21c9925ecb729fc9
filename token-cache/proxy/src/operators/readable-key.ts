/**
 * How an operator writes an entry's key: the fields of the identity with colons between them, as in
 * `user1:curl/7.86.0`. In all fields but the last `%` and `:` are percent-encoded, so that each text means one
 * identity: the user `a:b` with the agent `c` is `a%3Ab:c`, the user `a` with the agent `b:c` is `a:b:c`.
 */
export function readableKey(fields: readonly string[]): string {
  const last = fields.length - 1
  return fields.map((field, index) => (index === last ? field : escapeField(field))).join(':')
}

/** How an operator writes a user, and so all of its keys: the beginning of one. */
export const readableUser = (user: string): string => escapeField(user)

/** The fields of a readable key; fewer than `count` when it has fewer colons. */
export function parseReadableKey(key: string, count: number): string[] {
  const fields: string[] = []
  let rest = key
  while (fields.length < count - 1) {
    const colon = rest.indexOf(':')
    if (colon < 0) break
    fields.push(unescapeField(rest.slice(0, colon)))
    rest = rest.slice(colon + 1)
  }
  // A key that is only the beginning of one (a user) is a field that others may follow, so it is written escaped.
  fields.push(fields.length < count - 1 ? unescapeField(rest) : rest)
  return fields
}

const escapeField = (field: string) => field.replace(/%/g, '%25').replace(/:/g, '%3A')

const unescapeField = (field: string) => field.replace(/%3A/gi, ':').replace(/%25/g, '%')
