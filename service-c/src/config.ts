import { calleeConfig } from '@hallpass/callee'

export const loadConfig = calleeConfig({ http: 3002, https: 9443 })
