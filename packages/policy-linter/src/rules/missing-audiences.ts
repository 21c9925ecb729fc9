import type { Finding } from '../finding.ts'
import type { Manifest } from '../manifest.ts'
import { ofKind } from '../policy.ts'
import { covers } from '../workload.ts'

/** Finds JWT rules without `audiences`: they accept the issuer's tokens for any other API. */
export function findMissingAudiences(manifests: readonly Manifest[]): Finding[] {
  const policies = ofKind(manifests, 'AuthorizationPolicy')
  return ofKind(manifests, 'RequestAuthentication').flatMap((authentication) => {
    const checkedElsewhere = policies.some(
      (policy) =>
        policy.spec.action === 'ALLOW' &&
        covers(policy, authentication) &&
        policy.spec.rules.length > 0 &&
        policy.spec.rules.every(({ when }) =>
          when.some(({ key, values }) => key === 'request.auth.audiences' && values.length > 0),
        ),
    )
    if (checkedElsewhere) return []
    return authentication.spec.jwtRules.flatMap(({ issuer, audiences }, index) =>
      audiences.length > 0
        ? []
        : [
            {
              code: 'missing-audiences' as const,
              file: authentication.file,
              line: authentication.lineOf(['spec', 'jwtRules', index]),
              reason: `any token from ${issuer} is accepted, whatever its audience`,
              fix: 'list in audiences the identifier that this API has at the issuer',
            },
          ],
    )
  })
}
