/** Returns how a service is made to accept algorithms that its TOKEN_ALGORITHMS excludes. */
export const accepting = (excluded: readonly string[]): string =>
  `add ${excluded.join(',')} to TOKEN_ALGORITHMS, or remove the variable; by default all ten are accepted`
