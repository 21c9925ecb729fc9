import { MAX_SELECTORS, parseTopicSelector } from '@hallpass/event-stream/topics'
import type { VariableReader } from '@hallpass/service-kit'
import * as z from 'zod'

/** The claims with a token's topics, by form. */
const CLAIMS = { hallpass: 'sse', mercure: 'mercure' } as const
type TopicsForm = keyof typeof CLAIMS
const FORMS = Object.keys(CLAIMS) as TopicsForm[]

const selector = z.string().superRefine((text, context) => {
  try {
    parseTopicSelector(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message })
  }
})

/** The names that {@link ownTopic} replaces. */
const OWN_NAMES = ['sub', 'iss']

const ownTemplate = selector.refine(
  (text) =>
    text.includes('{sub}') &&
    [...text.matchAll(/\{(\w+)\}/g)].every(([, name]) => OWN_NAMES.includes(name as string)),
  { error: 'must contain {sub}, and no other expression than {sub} and {iss}' },
)

const topicsFields = z.strictObject({
  /** The claim of a token with the topics that it may read and publish; by default that of the form. */
  claim: z.string().min(1).optional(),
  /** `hallpass` rejects other members of the claim than `subscribe` and `publish`; `mercure` ignores them, like Mercure hubs. */
  form: z.enum(FORMS).default('hallpass'),
  /** What anyone who may open the path reads. */
  public: z.array(selector).max(MAX_SELECTORS).default([]),
  /** The topic that each subject reads without a claim, such as `users/{sub}`. */
  own: ownTemplate.optional(),
})

/** The rule of the topics of a path. Absent: the path sends the same events to all clients. */
export const topicsRule = topicsFields.transform(({ claim, form, ...rest }) => ({
  ...rest,
  form,
  claim: claim ?? CLAIMS[form],
}))

export type TopicsRule = z.infer<typeof topicsRule>

/**
 * Returns the topics rule of the documented path: of `TOPICS_CLAIM`, `TOPICS_FORM`, `PUBLIC_TOPICS` and `OWN_TOPIC`, if one of them
 * is set.
 */
export function topicsOf(variables: VariableReader): TopicsRule | undefined {
  const claim = variables.optionalText('TOPICS_CLAIM')
  const form = variables.optionalText('TOPICS_FORM')
  const own = variables.optionalText('OWN_TOPIC')
  const all = variables.list('PUBLIC_TOPICS', [])
  if (claim === undefined && form === undefined && own === undefined && all.length === 0) return undefined
  const result = topicsRule.safeParse({ claim, form, own, public: all })
  if (result.success) return result.data
  const names: Record<string, string> = { form: 'TOPICS_FORM', own: 'OWN_TOPIC', public: 'PUBLIC_TOPICS' }
  for (const { path, message } of result.error.issues)
    variables.problems.push(`${names[String(path[0])] ?? 'TOPICS_CLAIM'}: ${message}`)
  return undefined
}

export const isPath = (text: string) => /^\/[\w./~-]*$/.test(text)
const PUBLISH_PATH = '/publish'
/** Routes that are not those of a path. */
const RESERVED = ['/streams', '/revocations', '/tickets', '/token']

/** Where clients publish, and where the gateway sends their publications: the `/publish` of an SSE server. */
export const publishRule = z.strictObject({
  path: z.string().refine(isPath, { error: 'must be a path such as /publish' }).default(PUBLISH_PATH),
  url: z.url({ protocol: /^https?$/ }),
})

export type PublishRule = z.infer<typeof publishRule>

/** Returns the publish rule of the documented path: of `PUBLISH_URL` and `PUBLISH_PATH`. */
export function publishingOf(variables: VariableReader): PublishRule | undefined {
  const url = variables.optionalTrustedUrl('PUBLISH_URL')
  const path = variables.text('PUBLISH_PATH', PUBLISH_PATH)
  variables.require(isPath(path), 'PUBLISH_PATH must be a path such as /publish')
  return url === undefined ? undefined : { path, url }
}

type RulesWithTopics = Readonly<
  Record<string, { readonly topics?: TopicsRule | undefined; readonly publish?: PublishRule | undefined }>
>

/** Reports publish rules without topics, which would let no token publish, and paths that are used twice. */
export function checkPublishing(variables: VariableReader, paths: RulesWithTopics): void {
  const used = [...RESERVED, ...Object.keys(paths)]
  for (const [path, { topics, publish }] of Object.entries(paths)) {
    if (publish === undefined) continue
    variables.require(
      topics !== undefined,
      `Publishing on ${path} needs topics (TOPICS_CLAIM, or topics in GATEWAY_CONFIG): a claim says which topics a token may publish`,
    )
    variables.require(
      !used.includes(publish.path),
      `The path ${publish.path} for publishing on ${path} is used already`,
    )
    used.push(publish.path)
  }
}

/** Several issuers can use one subject for different users, so a subject alone would not be the owner of its topic. */
export function checkOwnTopic(
  variables: VariableReader,
  where: string,
  { topics, issuers }: { readonly topics?: TopicsRule | undefined; readonly issuers: readonly unknown[] },
): void {
  variables.require(
    topics?.own === undefined || issuers.length === 1 || topics.own.includes('{iss}'),
    `${where} must contain {iss}, because the path has several issuers, whose subjects can have the same name`,
  )
}
