import type { Finding } from '../finding.ts'
import type { Manifest } from '../manifest.ts'
import { ofKind } from '../policy.ts'
import { covers } from '../workload.ts'

/** Without `audiences`, a token that the issuer made for any other API is as good as one for this. */
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
              reason: `any token of ${issuer} is accepted, whomever it was made for`,
              fix: 'name in audiences what this API is called at the issuer',
            },
          ],
    )
  })
}
