import { JsonError, readJson } from '@hallpass/untrusted/json'

type Claims = Readonly<Record<string, unknown>>

/** What pages show of a user (OpenID Connect Core §5.1). No other claim of the endpoint is used: it is not signed. */
const SHOWN = [
  'name',
  'nickname',
  'preferred_username',
  'email',
  'given_name',
  'family_name',
  'picture',
] as const
/** If an ID token has none of these, UserInfo is asked for a name. */
const NAMES = ['name', 'nickname', 'preferred_username', 'email'] as const

const isText = (value: unknown) => typeof value === 'string' && value !== ''

export const hasName = (claims: Claims): boolean => NAMES.some((claim) => isText(claims[claim]))

/**
 * Reads the answer of the UserInfo endpoint.
 * @param idToken the claims of the ID token, which count more: they are signed
 * @returns the claims to show that the ID token lacks, or has without a text
 * @throws Error if the answer is not usable, or about another subject, which an attacker may have substituted (OpenID Connect
 * Core §5.3.2)
 */
export async function shownClaims(response: Response, idToken: Claims): Promise<Claims> {
  if (response.status !== 200) throw new Error(`it answered ${response.status}`)
  const type = response.headers.get('content-type') ?? 'no content-type'
  if (!/^application\/json\b/i.test(type)) throw new Error(`it answered with ${type}, not JSON`)
  const claims = parse(await response.text())
  if (claims.sub !== idToken.sub) throw new Error('its answer has another sub than the ID token')
  return Object.fromEntries(
    SHOWN.filter((claim) => isText(claims[claim]) && !isText(idToken[claim])).map((claim) => [
      claim,
      claims[claim],
    ]),
  )
}

function parse(text: string): Claims {
  try {
    return Object(readJson(text)) as Claims
  } catch (error) {
    throw error instanceof JsonError ? new Error(`its answer is not JSON (${error.message})`) : error
  }
}
