/** Tokens: a secret that its holder shows, of which only the hash is kept. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { roles, type Role } from './role.ts'

/** Tokens that are known at once, those revoked among them: with the longest texts some 300 kB, which instances send each other in one piece. */
export const maxTokens = 400

/** Names are in the audit, in addresses and in tables; there `local` and `anyone` are who shows no token. */
export const tokenNamePattern = /^(?!(?:local|anyone)$)[A-Za-z0-9][\w.@-]{0,62}$/
export const tokenNameError =
  'a name of at most 63 letters, digits, _, ., @ and - is needed here, beginning with a letter or digit; not local, nor anyone'

/** A reason that somebody gave, in characters. */
export const maxWhyLength = 200

/** As it stands in the configuration. */
export interface ConfiguredToken {
  readonly name: string
  readonly role: Role
  /** Of the secret, 64 hexadecimal digits. */
  readonly sha256: string
}

/** A token as instances keep it and tell each other. Once made it changes in one way: it is revoked. */
export interface Token extends ConfiguredToken {
  readonly createdAtMs: number
  readonly createdBy: string
  readonly expiresAtMs?: number
  readonly revoked?: { readonly atMs: number; readonly by: string; readonly why: string }
}

/** Bytes of chance in a secret. So many cannot be guessed nor tried out, whence one round of SHA-256 without salt keeps them; what a person thinks up would need more. */
const secretBytes = 32

/** By which scanners of published code know a token of ours. */
const prefix = 'ricci_'

/** A new secret. */
export function newSecret(randomBytes: (count: number) => Uint8Array): string {
  return prefix + Buffer.from(randomBytes(secretBytes)).toString('base64url')
}

/** What is kept of a secret: 64 hexadecimal digits. */
export function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

/** Whether two hashes are the same, in a time that does not tell how much of them is. */
export function isSameHash(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(a, 'hex'), Buffer.from(b, 'hex'))
}

/** What a file or another instance says is a token. */
export function isToken(value: unknown): value is Token {
  if (typeof value !== 'object' || value === null) return false
  const { name, role, sha256, createdAtMs, createdBy, expiresAtMs, revoked } = value as Partial<Token>
  return (
    typeof name === 'string' &&
    tokenNamePattern.test(name) &&
    roles.includes(role!) &&
    typeof sha256 === 'string' &&
    /^[0-9a-f]{64}$/.test(sha256) &&
    Number.isFinite(createdAtMs) &&
    isShort(createdBy) &&
    (expiresAtMs === undefined || Number.isFinite(expiresAtMs)) &&
    (revoked === undefined || isRevocation(revoked))
  )
}

function isRevocation(value: Token['revoked'] | null): boolean {
  if (typeof value !== 'object' || value === null) return false
  return Number.isFinite(value.atMs) && isShort(value.by) && isShort(value.why)
}

function isShort(text: unknown): boolean {
  return typeof text === 'string' && text.length <= maxWhyLength
}
