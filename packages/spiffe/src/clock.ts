/** Returns milliseconds since the epoch. Injected, so that tests can change the time without sleeping. */
export type Clock = () => number

export const systemClock: Clock = () => Date.now()
