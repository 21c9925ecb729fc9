import type { Finding } from '../finding.ts'
import type { Manifest } from '../manifest.ts'
import { isAboutPort, ofKind, readsHttp } from '../policy.ts'
import { coversService } from '../workload.ts'

/** Protocols whose requests a sidecar can read. Not `https`, which is encrypted for the sidecar. */
const HTTP_PROTOCOLS = ['http', 'http2', 'grpc', 'grpc-web', 'kubernetes.io/h2c', 'kubernetes.io/ws']

/** Finds rules about tokens, paths and methods for ports that are not declared as HTTP: such rules match no request. */
export function findOpaquePorts(manifests: readonly Manifest[]): Finding[] {
  return ofKind(manifests, 'Service').flatMap((service) => {
    const authentications = ofKind(manifests, 'RequestAuthentication').filter((candidate) =>
      coversService(candidate, service),
    )
    const authorizations = ofKind(manifests, 'AuthorizationPolicy').filter((candidate) =>
      coversService(candidate, service),
    )
    return service.spec.ports.flatMap(({ name, appProtocol, port }, index) => {
      const policy =
        authentications[0] ??
        authorizations.find(({ spec }) =>
          spec.rules.some((rule) => readsHttp(rule) && isAboutPort(rule, port)),
        )
      return policy === undefined || isHttp(name, appProtocol)
        ? []
        : [
            {
              code: 'opaque-port' as const,
              file: service.file,
              line: service.lineOf(['spec', 'ports', index]),
              reason: `${policy.name} has rules about HTTP, but port ${name ?? index + 1} of ${service.name} is not declared as HTTP`,
              fix: 'name the port http or http-…, or set appProtocol: http',
            },
          ]
    })
  })
}

function isHttp(name: string | undefined, appProtocol: string | undefined): boolean {
  if (appProtocol !== undefined) return HTTP_PROTOCOLS.includes(appProtocol)
  return HTTP_PROTOCOLS.some((protocol) => name === protocol || name?.startsWith(`${protocol}-`))
}
