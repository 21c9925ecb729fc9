import { startHarness } from './conformance-harness.ts'

const { x509Port, controlPort, ready, close } = await startHarness()
process.once('SIGTERM', () => void close())
await ready
console.log(
  [
    'SPIFFE_HARNESS_VERSION=1',
    `SPIFFE_X509_PORT=${x509Port}`,
    `SPIFFE_CONTROL_PORT=${controlPort}`,
    'READY',
  ].join('\n'),
)
