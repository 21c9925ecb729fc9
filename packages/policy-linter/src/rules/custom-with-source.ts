import type { Finding } from '../finding.ts'
import type { Manifest } from '../manifest.ts'
import { ofKind } from '../policy.ts'

/** CUSTOM is decided before the identities of the request are known, so what it says of the source is not heeded. */
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
          reason: `${name} asks an external authorizer depending on the source, which CUSTOM does not support`,
          fix: 'choose by host, path or method here, and allow or deny sources in another policy',
        },
      ]
    })
}
