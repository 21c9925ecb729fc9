export {
  argumentOrStdin,
  parseClaims,
  parseHttpUrl,
  parseSeconds,
  parseTcpUrl,
  parseToken,
  withoutBearer,
} from './arguments.ts'
export { fromNow, isDate, parseTime } from './expiry.ts'
export { printJson, systemTerminal, type Terminal } from './terminal.ts'
