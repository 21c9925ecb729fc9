/** The topics of a reader. `*` selects every event, `undefined` the events without a topic. */
export type Topics = ReadonlySet<string> | undefined

/** The topic with which readers request all events; no event has it. */
export const EVERY_TOPIC = '*'
