export { readAuthority } from './authority.ts'
export { chooseKey, mintToken, STREAM_TOKEN } from './mint-token.ts'
