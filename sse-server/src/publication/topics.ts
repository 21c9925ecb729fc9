/** The topics of a reader. `*` selects every event, `undefined` the events without a topic. */
export type Topics = ReadonlySet<string> | undefined

/** The topic with which readers request all events; no event has it. */
export const EVERY_TOPIC = '*'

/** Returns whether an event with a topic is for a reader of these topics. */
export const isAmong = (topic: string | undefined, topics: Topics): boolean =>
  topics === undefined
    ? topic === undefined
    : topics.has(EVERY_TOPIC) || (topic !== undefined && topics.has(topic))
