import { LineCounter, parseAllDocuments } from 'yaml'
import * as z from 'zod'
import type { Finding } from './finding.ts'

export interface SourceFile {
  readonly file: string
  readonly text: string
}

type Path = readonly (string | number)[]

/** One Kubernetes object, with the source lines of its members. */
export interface Manifest {
  readonly file: string
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
  readonly spec: unknown
  /** Returns the line of a member, or of its closest existing ancestor. */
  lineOf(path?: Path): number
}

const object = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z
    .looseObject({
      name: z.string().default(''),
      namespace: z.string().default('default'),
      labels: z.record(z.string(), z.string()).default({}),
    })
    .prefault({}),
  spec: z.unknown().optional(),
})

/** Reads the objects of a file; reports errors of the YAML itself as findings. */
export function readManifests({ file, text }: SourceFile): { manifests: Manifest[]; findings: Finding[] } {
  const lines = new LineCounter()
  const findings: Finding[] = []
  const manifests: Manifest[] = []
  const documents = parseAllDocuments(text, { lineCounter: lines })
  for (const document of Array.isArray(documents) ? documents : []) {
    for (const { code, pos, message } of document.errors) {
      const line = lines.linePos(pos[0]).line
      if (code === 'DUPLICATE_KEY')
        findings.push({
          code: 'duplicate-key',
          file,
          line,
          reason: `the key "${keyAt(text, pos[0])}" appears twice in one object; kubectl keeps the last and silently drops the first`,
          fix: 'merge both into one object, or make them two list items',
        })
      else
        findings.push({
          code: 'unreadable',
          file,
          line,
          reason: message.split('\n')[0] ?? message,
          fix: 'fix the YAML',
        })
    }
    const content: unknown = document.errors.every(({ code }) => code === 'DUPLICATE_KEY')
      ? document.toJS()
      : null
    if (content === null || content === undefined) continue
    const lineOf = (path: Path = []): number => {
      for (let length = path.length; length >= 0; length -= 1) {
        const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true)
        const range = (node as { range?: readonly number[] } | undefined)?.range
        if (range?.[0] !== undefined) return lines.linePos(range[0]).line
      }
      return 1
    }
    const parsed = object.safeParse(content)
    if (!parsed.success) {
      findings.push(malformed(file, lineOf, parsed.error))
      continue
    }
    const { apiVersion, kind, metadata, spec } = parsed.data
    manifests.push({ file, apiVersion, kind, ...metadata, spec, lineOf })
  }
  return { manifests, findings }
}

/** Returns the finding for an object that does not match the schema of its kind. */
export function malformed(file: string, lineOf: Manifest['lineOf'], error: z.ZodError): Finding {
  const [issue] = error.issues
  const path = (issue?.path ?? []).filter((part) => typeof part !== 'symbol')
  return {
    code: 'malformed',
    file,
    line: lineOf(path),
    reason: `${path.join('.') || 'the object'}: ${issue?.message ?? 'not a valid object of this kind'}`,
    fix: 'correct the member so that it matches the schema of its kind',
  }
}

const keyAt = (text: string, offset: number): string => /^[^:\n]*/.exec(text.slice(offset))?.[0].trim() ?? ''
