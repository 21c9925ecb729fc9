/** The time in milliseconds since the epoch; an argument, so that tests move it and never sleep. */
export type Clock = () => number

export const systemClock: Clock = () => Date.now()
