import { calleeConfig } from '@hallpass/callee'

export const loadConfig = calleeConfig({ audience: 'serviceb', http: 3001, https: 8443 })
