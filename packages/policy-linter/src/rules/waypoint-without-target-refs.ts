import type { Finding } from '../finding.ts'
import type { Manifest } from '../manifest.ts'
import { ofKind, readsHttp } from '../policy.ts'

/**
 * In ambient mode a policy with a selector is enforced by ztunnel, which reads no HTTP: rules about tokens then allow
 * nothing, and a RequestAuthentication is not looked at. Only `targetRefs` bring a policy to the waypoint.
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
      reason: `${kind} ${name} reads HTTP in an ambient namespace, and without targetRefs no waypoint enforces it`,
      fix: 'name the Service (or the waypoint Gateway) in targetRefs, in place of the selector',
    }))
}

const isWaypoint = ({ kind, spec }: Manifest): boolean =>
  kind === 'Gateway' && (spec as { gatewayClassName?: unknown } | null)?.gatewayClassName === 'istio-waypoint'
