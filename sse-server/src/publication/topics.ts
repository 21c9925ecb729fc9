/** The topics of a reader: `*` among them for every event, `undefined` for the events without a topic. */
export type Topics = ReadonlySet<string> | undefined

/** The topic by which readers ask for all of them; no event has it. */
export const EVERY_TOPIC = '*'

/** Whether an event with this topic is for a reader of those. */
export const isAmong = (topic: string | undefined, topics: Topics): boolean =>
  topics === undefined
    ? topic === undefined
    : topics.has(EVERY_TOPIC) || (topic !== undefined && topics.has(topic))
