import { calleeConfig } from '@hallpass/callee'

export const loadConfig = calleeConfig({ audience: 'servicec', http: 3002, https: 9443 })
