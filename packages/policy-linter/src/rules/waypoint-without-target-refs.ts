import type { Finding } from '../finding.ts'
import type { Manifest } from '../manifest.ts'
import { ofKind, readsHttp } from '../policy.ts'

/**
 * Finds policies about HTTP that no waypoint enforces. In ambient mode, a policy with a selector is enforced by ztunnel,
 * which does not read HTTP: rules about tokens then allow nothing, and a RequestAuthentication is ignored. Only a policy
 * with `targetRefs` is enforced by the waypoint.
 */
export function findWaypointWithoutTargetRefs(manifests: readonly Manifest[]): Finding[] {
  const ambient = new Set([
    ...manifests.filter(isWaypoint).map(({ namespace }) => namespace),
    ...manifests
      .filter(({ kind, labels }) => kind === 'Namespace' && labels['istio.io/dataplane-mode'] === 'ambient')
      .map(({ name }) => name),
  ])
  const policies = [
    ...ofKind(manifests, 'RequestAuthentication'),
    ...ofKind(manifests, 'AuthorizationPolicy').filter(({ spec }) => spec.rules.some(readsHttp)),
  ]
  return policies
    .filter(({ namespace, spec }) => ambient.has(namespace) && spec.targetRefs.length === 0)
    .map(({ kind, name, file, lineOf }) => ({
      code: 'waypoint-without-target-refs',
      file,
      line: lineOf(['spec']),
      reason: `${kind} ${name} has rules about HTTP in an ambient namespace, but without targetRefs no waypoint enforces them`,
      fix: 'name the Service (or the waypoint Gateway) in targetRefs instead of using a selector',
    }))
}

const isWaypoint = ({ kind, spec }: Manifest): boolean =>
  kind === 'Gateway' && (spec as { gatewayClassName?: unknown } | null)?.gatewayClassName === 'istio-waypoint'
