/**
 * The time in milliseconds since the epoch. Every service takes its clock as an argument,
 * so that a test of expiry moves the time and never sleeps.
 */
export type Clock = () => number

export const systemClock: Clock = () => Date.now()
