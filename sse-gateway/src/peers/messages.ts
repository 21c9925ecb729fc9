import type { Extension } from '@hallpass/guarded-stream'
import * as z from 'zod'
import { grantMessage } from '../admission/index.ts'

const extensionMessage = z.discriminatedUnion('outcome', [
  z.object({ outcome: z.literal('extended') }),
  z.object({ outcome: z.literal('not_extended'), endsAt: z.number(), tooOld: z.boolean() }),
  z.object({ outcome: z.literal('forbidden'), missing: z.string() }),
  z.object({ outcome: z.literal('unknown') }),
])
/** The answer of a gateway of the previous version, which does not distinguish `extended` from `not_extended`. */
const previousAnswer = z.strictObject({ answer: z.string(), extended: z.boolean() })
/** A challenge response for a stream of another gateway, or its answer. */
export const nodeMessage = z.union([
  z.strictObject({
    ask: z.string(),
    from: z.string(),
    handle: z.string(),
    path: z.string(),
    grant: grantMessage,
  }),
  z.strictObject({ answer: z.string(), result: extensionMessage }),
  previousAnswer,
])

/** Returns what an answer of this or the previous version says. */
export function resultOf(answer: z.infer<typeof previousAnswer> | { readonly result: Extension }): Extension {
  if ('result' in answer) return answer.result
  return answer.extended ? { outcome: 'extended' } : { outcome: 'unknown' }
}
