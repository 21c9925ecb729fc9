import type { Finding } from '../finding.ts'
import type { Manifest } from '../manifest.ts'
import { type AuthorizationPolicySpec, demandsToken, ofKind } from '../policy.ts'
import { covers } from '../workload.ts'

/** Finds RequestAuthentications without a policy that requires a token: they accept requests without one. */
export function findTokenNotDemanded(manifests: readonly Manifest[]): Finding[] {
  const policies = ofKind(manifests, 'AuthorizationPolicy')
  return ofKind(manifests, 'RequestAuthentication').flatMap((authentication) => {
    const applying = policies.filter((policy) => covers(policy, authentication))
    if (applying.some(({ spec }) => deniesWithoutToken(spec))) return []
    const allowing = applying.filter(({ spec }) => spec.action === 'ALLOW' && spec.rules.length > 0)
    const open = allowing.find(({ spec }) =>
      spec.rules.some((rule) => rule.to.length === 0 && !demandsToken(rule)),
    )
    if (allowing.some(({ spec }) => spec.rules.some(demandsToken)) && !open) return []
    return [
      {
        code: 'token-not-demanded',
        file: authentication.file,
        line: authentication.lineOf(),
        reason: open
          ? `${authentication.name} checks tokens, but the policy ${open.name} allows requests without one`
          : `${authentication.name} rejects invalid tokens, but accepts requests without a token`,
        fix: 'require requestPrincipals in each AuthorizationPolicy that allows requests to these workloads',
      },
    ]
  })
}

const deniesWithoutToken = ({ action, rules }: AuthorizationPolicySpec): boolean =>
  action === 'DENY' &&
  rules.some(
    ({ from, to, when }) =>
      to.length === 0 &&
      when.length === 0 &&
      from.some(({ source }) => source.notRequestPrincipals.includes('*')),
  )
