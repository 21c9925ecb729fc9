export { Bundles, jwksBytes, x509Bytes } from './bundles.ts'
export { FederatedBundles } from './federated-bundles.ts'
