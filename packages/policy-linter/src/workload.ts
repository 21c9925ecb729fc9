import type { Typed } from './policy.ts'

interface Targeted {
  readonly selector?: { readonly matchLabels: Readonly<Record<string, string>> } | undefined
  readonly targetRefs: readonly { readonly kind: string; readonly name: string }[]
}

/** Istio's root namespace; policies in it apply to every namespace. */
const ROOT_NAMESPACE = 'istio-system'

/** Returns true if `wide` covers every workload that `narrow` covers, judged by labels and names. */
export function covers(wide: Typed<Targeted>, narrow: Typed<Targeted>): boolean {
  if (wide.namespace !== narrow.namespace && wide.namespace !== ROOT_NAMESPACE) return false
  if (wide.spec.targetRefs.length > 0 || narrow.spec.targetRefs.length > 0)
    return (
      narrow.spec.targetRefs.length > 0 &&
      narrow.spec.targetRefs.every((target) =>
        wide.spec.targetRefs.some(({ kind, name }) => kind === target.kind && name === target.name),
      )
    )
  return isSubset(labelsOf(wide), labelsOf(narrow))
}

/** Returns true if the policy applies to the workloads behind a service. */
export function coversService(
  policy: Typed<Targeted>,
  service: Typed<{ readonly selector: Readonly<Record<string, string>> }>,
): boolean {
  if (policy.namespace !== service.namespace && policy.namespace !== ROOT_NAMESPACE) return false
  if (policy.spec.targetRefs.length > 0)
    return policy.spec.targetRefs.some(({ kind, name }) => kind === 'Service' && name === service.name)
  return isSubset(labelsOf(policy), service.spec.selector)
}

const labelsOf = ({ spec }: Typed<Targeted>) => spec.selector?.matchLabels ?? {}

const isSubset = (few: Readonly<Record<string, string>>, many: Readonly<Record<string, string>>): boolean =>
  Object.entries(few).every(([label, value]) => many[label] === value)
