import type { Finding } from '../finding.ts'
import type { Manifest } from '../manifest.ts'
import { demandsToken, namesUser, namesWorkload, ofKind, type PolicyRule } from '../policy.ts'
import { covers } from '../workload.ts'

const FIX = 'put principals and requestPrincipals into one source: members of one source must all hold'

/**
 * Members of one source are ANDed; sources, rules and policies are ORed. Where one item names the workload and
 * another one the user, either of them opens the door alone.
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
        reason: `two ${what}, one for the workload and one for the user, mean either, not both`,
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
    const apart = spec.rules.findIndex(isUserAlone)
    if (apart !== -1 && spec.rules.some(isWorkloadAlone)) finding([apart], 'rules')
  }
  for (const user of policies.filter(({ spec }) => spec.rules.some(isUserAlone))) {
    const other = policies.find(
      (policy) =>
        policy !== user &&
        policy.spec.rules.some(isWorkloadAlone) &&
        (covers(policy, user) || covers(user, policy)),
    )
    if (other)
      findings.push({
        code: 'or-for-and',
        file: user.file,
        line: user.lineOf(['spec', 'rules']),
        reason: `the policies ${user.name} and ${other.name} hold for one workload, and either of them is enough`,
        fix: FIX,
      })
  }
  return findings
}

const isUserAlone = (rule: PolicyRule): boolean =>
  demandsToken(rule) && rule.from.every(({ source }) => !namesWorkload(source))

/** A rule for some paths or methods alone is an exception that somebody meant. */
const isWorkloadAlone = (rule: PolicyRule): boolean =>
  rule.to.length === 0 && !demandsToken(rule) && rule.from.some(({ source }) => namesWorkload(source))
