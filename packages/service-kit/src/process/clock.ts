/**
 * Returns the time in milliseconds since the epoch. Every service takes its clock as an argument, so that
 * tests of expiry move the time instead of sleeping.
 */
export type Clock = () => number

export const systemClock: Clock = () => Date.now()
