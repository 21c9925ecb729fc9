import type { Finding } from '../finding.ts'
import type { Manifest } from '../manifest.ts'
import { demandsToken, namesUser, namesWorkload, ofKind, type PolicyRule } from '../policy.ts'
import { covers } from '../workload.ts'

const FIX = 'put principals and requestPrincipals into one source: all members of one source must match'

/**
 * Finds alternatives that were probably meant as AND. Members of one source are ANDed; sources, rules and policies are
 * ORed. If one item names the workload and another one the user, either is enough.
 */
export function findOrForAnd(manifests: readonly Manifest[]): Finding[] {
  const policies = ofKind(manifests, 'AuthorizationPolicy').filter(({ spec }) => spec.action === 'ALLOW')
  const findings: Finding[] = []
  for (const { file, spec, lineOf } of policies) {
    const finding = (path: readonly (string | number)[], what: string): void => {
      findings.push({
        code: 'or-for-and',
        file,
        line: lineOf(['spec', 'rules', ...path]),
        reason: `two ${what}, one for the workload and one for the user: either is enough, not both required`,
        fix: FIX,
      })
    }
    const split = spec.rules.findIndex(({ from }) => {
      const sources = from.map(({ source }) => source)
      return (
        sources.some((source) => namesWorkload(source) && !namesUser(source)) &&
        sources.some((source) => namesUser(source) && !namesWorkload(source))
      )
    })
    if (split !== -1) finding([split, 'from'], 'sources')
    const apart = spec.rules.findIndex(namesOnlyUser)
    if (apart !== -1 && spec.rules.some(namesOnlyWorkload)) finding([apart], 'rules')
  }
  for (const user of policies.filter(({ spec }) => spec.rules.some(namesOnlyUser))) {
    const other = policies.find(
      (policy) =>
        policy !== user &&
        policy.spec.rules.some(namesOnlyWorkload) &&
        (covers(policy, user) || covers(user, policy)),
    )
    if (other)
      findings.push({
        code: 'or-for-and',
        file: user.file,
        line: user.lineOf(['spec', 'rules']),
        reason: `the policies ${user.name} and ${other.name} apply to the same workload: either is enough`,
        fix: FIX,
      })
  }
  return findings
}

const namesOnlyUser = (rule: PolicyRule): boolean =>
  demandsToken(rule) && rule.from.every(({ source }) => !namesWorkload(source))

/** A rule for only some paths or methods is an intended exception. */
const namesOnlyWorkload = (rule: PolicyRule): boolean =>
  rule.to.length === 0 && !demandsToken(rule) && rule.from.some(({ source }) => namesWorkload(source))
