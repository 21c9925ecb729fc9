import type { Finding } from '../finding.ts'
import type { Manifest } from '../manifest.ts'
import { ofKind } from '../policy.ts'

/** Finds CUSTOM policies with a source: CUSTOM is evaluated before identities are known, so the source is ignored. */
export function findCustomWithSource(manifests: readonly Manifest[]): Finding[] {
  return ofKind(manifests, 'AuthorizationPolicy')
    .filter(({ spec }) => spec.action === 'CUSTOM')
    .flatMap(({ name, file, spec, lineOf }) => {
      const index = spec.rules.findIndex(
        ({ from, when }) =>
          from.length > 0 || when.some(({ key }) => /^(source\.|request\.auth\.)/.test(key)),
      )
      if (index === -1) return []
      return [
        {
          code: 'custom-with-source' as const,
          file,
          line: lineOf(['spec', 'rules', index]),
          reason: `${name} selects an external authorizer by source, which CUSTOM does not support`,
          fix: 'select by host, path or method here, and allow or deny sources in another policy',
        },
      ]
    })
}
