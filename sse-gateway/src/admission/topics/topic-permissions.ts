import { parseTopicSelectors } from '@hallpass/event-stream/topics'
import * as z from 'zod'

/** Which topics of a path a token allows to read and to publish. */
export interface TopicsRule {
  /** The claim with the topics: its name, or a path into nested claims. */
  readonly claim: string
  /** `mercure` ignores other members of the claim than `subscribe` and `publish`; `hallpass` rejects them. */
  readonly form: 'hallpass' | 'mercure'
  /** What anyone who may open the path reads. */
  readonly public: readonly string[]
  /** The topic that each subject reads, with `{sub}` and `{iss}`; undefined: none. */
  readonly own?: string | undefined
}

/** The topic selectors in a token's claim, as JSON: gateways exchange them. */
export interface TopicPermissions {
  readonly subscribe: readonly string[]
  readonly publish: readonly string[]
}

/** The part of a token's grant that decides about topics. */
export interface TopicGrant {
  readonly issuer: string
  readonly subject: string | undefined
  readonly topics?: TopicPermissions | undefined
}

const selectors = z.array(z.string()).default([])
const permissions = z.object({ subscribe: selectors, publish: selectors })
/** A typing error in the name of a member would be a token without the right. */
const strictPermissions = permissions.strict()

/**
 * Returns the topics in the value of a token's claim; none if the token has no such claim.
 * @throws {Error} if any part is invalid: the rest would be another right than the issuer meant
 */
export function topicPermissionsIn(value: unknown, { claim, form }: TopicsRule): TopicPermissions {
  if (value === undefined) return { subscribe: [], publish: [] }
  const result = (form === 'mercure' ? permissions : strictPermissions).safeParse(value)
  if (!result.success)
    throw new Error(
      `The claim ${claim} must be {"subscribe": [...], "publish": [...]}, with strings; both are optional.`,
    )
  for (const [name, texts] of Object.entries(result.data))
    try {
      parseTopicSelectors(texts)
    } catch (error) {
      throw new Error(`The claim ${claim}.${name} is not valid: ${(error as Error).message}`)
    }
  return result.data
}
