import {
  MAX_SELECTORS,
  parseTopicSelector,
  parseTopicSelectors,
  TopicSelectorError,
  TopicSelectors,
} from '@hallpass/event-stream/topics'
import { badRequest, HttpError } from '@hallpass/service-kit'
import type { Challenge } from '../protected-resources.ts'
import type { TopicGrant, TopicsRule } from './topic-permissions.ts'

/** The topics of a stream. */
export interface StreamTopics {
  readonly selectors: TopicSelectors
  /** Returns the first of the selectors whose topics a grant does not allow to read; undefined if it allows all. */
  missing(grant: TopicGrant): string | undefined
}

/** Decides which topics of a path a grant allows to read and to publish. */
export class TopicAccess {
  readonly #rule: TopicsRule
  readonly #challenge: Challenge
  readonly #public: TopicSelectors

  constructor(rule: TopicsRule, challenge: Challenge) {
    this.#rule = rule
    this.#challenge = challenge
    this.#public = parseTopicSelectors(rule.public)
  }

  /**
   * Returns the topics of a stream: the wanted ones, or all that the grant allows to read.
   * @throws {HttpError} 403 `topic_forbidden` for the first one that it does not allow, 400 for an invalid one or too many
   */
  select(grant: TopicGrant, wanted: readonly string[]): StreamTopics {
    const readable = this.#readableBy(grant)
    const selectors = wanted.length === 0 ? readable : parseWanted(wanted)
    const { texts } = selectors
    const missing = wanted.length === 0 ? undefined : firstMissing(readable, texts)
    if (missing !== undefined) throw this.readingForbidden(missing)
    return { selectors, missing: (later) => firstMissing(this.#readableBy(later), texts) }
  }

  readingForbidden(selector: string): HttpError {
    return this.#forbidden(
      `The token is not allowed to read the topic ${JSON.stringify(selector)}: its claim ${this.#rule.claim}.subscribe must cover it.`,
    )
  }

  /**
   * Checks the topics of publications; `undefined` is a publication without a topic, which all clients of the path get.
   * @throws {HttpError} 403 `topic_forbidden` for the first one that the grant does not allow to publish
   */
  refuseUnpublishable({ topics }: TopicGrant, published: Iterable<string | undefined>): void {
    const { claim } = this.#rule
    const allowed = parseTopicSelectors(topics?.publish ?? [])
    for (const topic of published) {
      if (allowed.isEvery || (topic !== undefined && allowed.covers(topic))) continue
      throw this.#forbidden(
        topic === undefined
          ? `The token is not allowed to publish without a topic, which reaches all clients of the path: its claim ${claim}.publish must contain "*".`
          : `The token is not allowed to publish the topic ${JSON.stringify(topic)}: its claim ${claim}.publish must cover it.`,
      )
    }
  }

  #readableBy(grant: TopicGrant): TopicSelectors {
    const own = ownTopic(this.#rule.own, grant)
    const texts = [
      ...(own === undefined ? [] : [own]),
      ...this.#public.texts,
      ...(grant.topics?.subscribe ?? []),
    ]
    return new TopicSelectors(texts.map(parseTopicSelector))
  }

  /** The topic is only in the message: a header could not contain all of its characters. */
  #forbidden(message: string): HttpError {
    return new HttpError(403, 'topic_forbidden', message, {
      headers: { 'www-authenticate': this.#challenge({ error: 'insufficient_scope' }) },
    })
  }
}

function firstMissing(readable: TopicSelectors, texts: readonly string[]): string | undefined {
  return texts.find((text) => !readable.coversSelector(parseTopicSelector(text)))
}

function parseWanted(wanted: readonly string[]): TopicSelectors {
  if (wanted.length > MAX_SELECTORS)
    throw badRequest('too_many_topics', `A stream can have at most ${MAX_SELECTORS} topics.`)
  try {
    return parseTopicSelectors(wanted)
  } catch (error) {
    if (error instanceof TopicSelectorError) throw badRequest('invalid_topic', error.message, error)
    throw error
  }
}

/**
 * Returns the topic that a subject reads without a claim: the template of the rule with the subject and the issuer,
 * percent-encoded as in RFC 6570 §3.2.2, so that neither can reach another segment. Undefined without a subject, and if the topic
 * is too long, so that nobody could publish it.
 */
function ownTopic(template: string | undefined, { issuer, subject }: TopicGrant): string | undefined {
  if (template === undefined || subject === undefined) return undefined
  try {
    const topic = template
      .replaceAll('{iss}', () => percentEncoded(issuer))
      .replaceAll('{sub}', () => percentEncoded(subject))
    return parseTopicSelector(topic).text
  } catch {
    return undefined
  }
}

/** `encodeURIComponent` leaves five reserved characters as they are. */
const percentEncoded = (text: string) =>
  encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
