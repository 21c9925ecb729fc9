import { calleeConfig } from '@hallpass/callee'

export const loadConfig = calleeConfig({ http: 3001, https: 8443 })
