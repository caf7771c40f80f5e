/**
 * The tokens that an instance knows: those of its configuration, and those that a command made at any instance, in a file of the data folder.
 *
 * Instances tell each other all of theirs. Two sets become one by a rule under which order does not matter: every token is kept, and revoked is who is
 * revoked anywhere, the configuration's tokens too. So nothing has to be asked while a request is judged, and no instance needs another to judge it.
 */
import { readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '@ricci/replica'
import { didYouMean } from '../config/nearest.ts'
import { RicciError } from '../errors.ts'
import { writeFileDurably } from '../log/index.ts'
import type { Role } from './role.ts'
import {
  hashOf,
  isSameHash,
  isToken,
  maxTokens,
  newSecret,
  type ConfiguredToken,
  type Token,
  maxWhyLength,
} from './token.ts'

export interface TokensOptions {
  readonly configured: readonly ConfiguredToken[]
  /** The data folder. */
  readonly folder: string
  readonly clock: Pick<Clock, 'wallMs'>
  readonly randomBytes: (count: number) => Uint8Array
  /** Told a sentence: what was kept cannot be read. */
  readonly onTrouble: (what: string) => void
}

/** What a secret that was shown came to. */
export type Shown =
  { readonly name: string; readonly role: Role } | { readonly wrong: 'unknown' | 'expired' | 'revoked' }

/** A token as people see it. */
export interface TokenView extends Omit<Token, 'sha256' | 'createdAtMs' | 'createdBy'> {
  readonly from: 'configuration' | 'command'
  readonly state: 'valid' | 'expired' | 'revoked'
  readonly createdAtMs?: number
  readonly createdBy?: string
}

const fileName = 'tokens.json'

/** So long what is over is kept, so that an instance that was away so long learns of it and does not bring it back. */
const keptMs = 365 * 24 * 3_600_000

export class Tokens {
  /** By hash. */
  private readonly known = new Map<string, Token>()

  constructor(private readonly options: TokensOptions) {}

  /** Reads what was kept. What cannot be read is put aside: a server starts all the same, and in a cluster the others tell it again. */
  load(): void {
    const file = join(this.options.folder, fileName)
    let tokens: unknown
    try {
      tokens = (JSON.parse(readFileSync(file, 'utf8')) as { tokens?: unknown }).tokens
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    }
    if (Array.isArray(tokens)) {
      this.take(tokens.filter(isToken))
      if (tokens.every(isToken)) return
    }
    try {
      renameSync(file, `${file}.damaged`)
    } catch {
      // may neither be read nor moved: it is there still, for who looks
    }
    this.options.onTrouble(
      `${file} cannot be read as a whole and was put aside (${fileName}.damaged): what could not be is not known here, tokens made by command or which were revoked`,
    )
  }

  /** Who shows a secret. */
  find(secret: string): Shown {
    const hash = hashOf(secret)
    // all of them are compared, so that how long it takes tells nothing
    let found: ConfiguredToken | undefined
    for (const token of this.options.configured) if (isSameHash(token.sha256, hash)) found = token
    for (const token of this.known.values()) if (isSameHash(token.sha256, hash)) found = token
    if (found === undefined) return { wrong: 'unknown' }
    const state = this.stateOf(found)
    return state === 'valid' ? { name: found.name, role: found.role } : { wrong: state }
  }

  list(): readonly TokenView[] {
    const { configured } = this.options
    const made = [...this.known.values()].filter(({ sha256 }) => !configured.some((one) => one.sha256 === sha256))
    const views = [
      ...configured.map(({ name, role, sha256 }): TokenView => {
        const revoked = this.known.get(sha256)?.revoked
        return { name, role, from: 'configuration', state: this.stateOf({ sha256 }), ...(revoked && { revoked }) }
      }),
      ...made.map(({ sha256, ...token }): TokenView => ({
        ...token,
        from: 'command',
        state: this.stateOf({ sha256, ...token }),
      })),
    ]
    return views.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  }

  /**
   * Makes a token; its secret is given here and never again.
   * @throws RicciError `TOKEN_EXISTS`, `TOO_MANY_TOKENS`
   */
  create(wanted: { readonly name: string; readonly role: Role; readonly expiresInMs?: number }, by: string): NewToken {
    const { name, role, expiresInMs } = wanted
    const { clock, randomBytes } = this.options
    if (this.named(name).length > 0) {
      const sentence = `there is a token "${name}" already; revoke it first, or take another name`
      throw new RicciError('TOKEN_EXISTS', sentence)
    }
    this.assertRoom()
    const secret = newSecret(randomBytes)
    const createdAtMs = clock.wallMs()
    const expires = expiresInMs === undefined ? {} : { expiresAtMs: createdAtMs + expiresInMs }
    this.keep([{ name, role, sha256: hashOf(secret), createdAtMs, createdBy: by, ...expires }])
    return { name, role, token: secret, ...expires }
  }

  /**
   * From now on whoever shows it is refused. One of the configuration is refused though it stands there.
   * @throws RicciError `NO_TOKEN`, `TOO_MANY_TOKENS`
   */
  revoke(name: string, by: string, why: string): void {
    const live = this.named(name)
    if (live.length === 0) {
      const names = this.list().filter(({ state }) => state === 'valid')
      const meant = didYouMean(
        name,
        names.map((one) => one.name),
      )
      throw new RicciError('NO_TOKEN', `there is no token "${name}" that holds${meant}; ricci token list has them all`)
    }
    const atMs = this.options.clock.wallMs()
    // in units of UTF-16, by which it is judged when it is read again
    const revoked = { atMs, by, why: why.slice(0, maxWhyLength) }
    this.keep(
      live.map((token): Token => {
        const known = this.known.get(token.sha256)
        // one of the configuration is known here by its revocation
        if (known === undefined) this.assertRoom()
        return { createdAtMs: atMs, createdBy: 'configuration', ...token, ...known, revoked }
      }),
    )
  }

  /** All that are to be told to others. */
  all(): readonly Token[] {
    return [...this.known.values()]
  }

  /** Takes over what another instance knows; gives whether that was anything new. @throws what the disk throws */
  merge(others: readonly unknown[]): boolean {
    const before = new Map(this.known)
    if (!this.take(others.filter(isToken))) return false
    try {
      this.write()
    } catch (error) {
      this.restore(before)
      throw error
    }
    return true
  }

  private keep(tokens: readonly Token[]): void {
    const before = new Map(this.known)
    for (const token of tokens) this.known.set(token.sha256, token)
    try {
      this.write()
    } catch (error) {
      this.restore(before)
      throw error
    }
  }

  /** What is not on the disk does not hold: it would be back after the next start. */
  private restore(before: ReadonlyMap<string, Token>): void {
    this.known.clear()
    for (const [hash, token] of before) this.known.set(hash, token)
  }

  private take(tokens: readonly Token[]): boolean {
    let changed = false
    for (const token of tokens) {
      const known = this.known.get(token.sha256)
      if (this.isForgotten(token)) continue
      if (known === undefined ? !this.hasRoomFor(token) : !revokedEarlier(token, known)) continue
      this.known.set(token.sha256, token)
      changed = true
    }
    return changed
  }

  /** One that is revoked and unknown is refused anyway, but for those of the configuration. */
  private hasRoomFor({ sha256 }: Token): boolean {
    return this.known.size < maxTokens || this.options.configured.some((token) => token.sha256 === sha256)
  }

  private write(): void {
    for (const [hash, token] of this.known) if (this.isForgotten(token)) this.known.delete(hash)
    const text = JSON.stringify({ tokens: this.all() }, undefined, 1)
    writeFileDurably(join(this.options.folder, fileName), `${text}\n`)
  }

  private isForgotten({ sha256, expiresAtMs, revoked }: Token): boolean {
    // its revocation is all that keeps one of the configuration from holding
    if (this.options.configured.some((token) => token.sha256 === sha256)) return false
    const over = Math.min(expiresAtMs ?? Infinity, revoked?.atMs ?? Infinity)
    return this.options.clock.wallMs() - over > keptMs
  }

  private assertRoom(): void {
    if (this.known.size < maxTokens) return
    const sentence = `${maxTokens} tokens are kept already, those revoked in the last year among them; use one of them, or give tokens of the configuration (http.tokens)`
    throw new RicciError('TOO_MANY_TOKENS', sentence)
  }

  /** Those of a name that hold. */
  private named(name: string): readonly ConfiguredToken[] {
    return [...this.options.configured, ...this.known.values()].filter(
      (token) => token.name === name && this.stateOf(token) === 'valid',
    )
  }

  private stateOf({ sha256 }: Pick<ConfiguredToken, 'sha256'>): 'valid' | 'expired' | 'revoked' {
    const token = this.known.get(sha256)
    if (token?.revoked !== undefined) return 'revoked'
    return token?.expiresAtMs !== undefined && token.expiresAtMs <= this.options.clock.wallMs() ? 'expired' : 'valid'
  }
}

/** A token with its secret, for who asked for it. */
export interface NewToken {
  readonly name: string
  readonly role: Role
  readonly token: string
  readonly expiresAtMs?: number
}

/** Of two revocations the earlier counts, so that all come to the same. */
function revokedEarlier(a: Token, b: Token): boolean {
  return (a.revoked?.atMs ?? Infinity) < (b.revoked?.atMs ?? Infinity)
}
