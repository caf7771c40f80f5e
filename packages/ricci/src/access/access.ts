/** Who may ask this instance for what, and what was asked: its tokens and its audit, which are those of all instances as far as they can be reached. */
import type { Clock, Timer } from '@ricci/replica'
import type { Config } from '../config/config.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import { Audit, type AuditEntry } from './audit.ts'
import type { Role } from './role.ts'
import type { Token } from './token.ts'
import { Tokens, type NewToken, type Shown, type TokenView } from './tokens.ts'

export interface AccessOptions {
  readonly config: Pick<Config, 'dataFolder' | 'instance' | 'http'>
  readonly clock: Clock
  readonly telemetry: Pick<Telemetry, 'log' | 'auditFailed'>
  readonly randomBytes: (count: number) => Uint8Array
}

/** What another instance of the cluster is asked. */
export interface AccessPeer {
  /** Tells it all tokens that are known here, and is told those known there. */
  tokens(known: readonly Token[]): Promise<readonly unknown[]>
  /** Its own entries, the newest first. */
  audit(limit: number): Promise<readonly AuditEntry[]>
}

/** The other instances that are alive, by their names. */
export type AccessPeers = () => ReadonlyMap<string, AccessPeer>

/** Instances that could not be told, those among them that were there today and are gone: they learn of it when they are reached. */
export interface Told {
  readonly unreached: readonly string[]
}

/** Instances tell each other their tokens so often, whatever was told before: who was away when one was revoked learns of it then. */
const exchangeMs = 10_000

/** So long an instance that is gone is named among those that were not told: it may be cut off, and not ended. */
const rememberedMs = 24 * 3_600_000

/** Who may ask, and what was asked. `open` once its data folder is there; `close` when nobody asks any more. */
export class Access {
  private readonly tokens: Tokens
  private readonly log: Audit
  private peers: AccessPeers = () => new Map()
  private timer: Timer | undefined
  private exchanging: Promise<unknown> = Promise.resolve()
  private closed = false
  /** By name, when another instance was there last, in monotonic ms. */
  private readonly met = new Map<string, number>()
  /** Those that were told of, and not reached since. */
  private readonly silent = new Set<string>()

  constructor(private readonly options: AccessOptions) {
    const { config, clock, randomBytes, telemetry } = options
    this.log = new Audit(config.dataFolder)
    this.tokens = new Tokens({
      ...{ configured: config.http.tokens, folder: config.dataFolder, clock, randomBytes },
      onTrouble: (what) => telemetry.log.error(what),
    })
  }

  /** Nothing is answered without a token. */
  get requiresToken(): boolean {
    return this.options.config.http.requireToken
  }

  /** Reads what was kept. */
  open(): void {
    this.tokens.load()
  }

  /** Tells the others from now on, and hears from them. */
  join(peers: AccessPeers): void {
    this.peers = peers
    this.exchangeLater(0)
  }

  /** Somebody new is there: it hears of tokens at once, as this instance does where it is the new one. */
  meet(): void {
    this.exchangeLater(0)
  }

  find(secret: string): Shown {
    return this.tokens.find(secret)
  }

  list(): readonly TokenView[] {
    return this.tokens.list()
  }

  /** Resolves once the others know of it, or cannot be reached. @throws RicciError `TOKEN_EXISTS`, `TOO_MANY_TOKENS` */
  async create(
    wanted: { readonly name: string; readonly role: Role; readonly expiresInMs?: number },
    by: string,
  ): Promise<NewToken & Told> {
    const token = this.tokens.create(wanted, by)
    return { ...token, unreached: this.withGone(await this.exchange()) }
  }

  /** The same. @throws RicciError `NO_TOKEN`, `TOO_MANY_TOKENS` */
  async revoke(name: string, by: string, why: string): Promise<Told> {
    this.tokens.revoke(name, by, why)
    return { unreached: this.withGone(await this.exchange()) }
  }

  /** Takes over what another instance knows; gives what is known here. */
  async heard(tokens: readonly unknown[]): Promise<readonly Token[]> {
    this.tokens.merge(tokens)
    return this.tokens.all()
  }

  /** Resolves when it is on the disk. Where that fails it is in the log, and what was done is done: nobody is kept from acting by a full disk. */
  async note(entry: Omit<AuditEntry, 'atMs' | 'instance'>): Promise<void> {
    const { clock, config, telemetry } = this.options
    const whole = { atMs: clock.wallMs(), instance: config.instance, ...entry }
    try {
      await this.log.write(whole)
    } catch (error) {
      telemetry.auditFailed(whole, error as Error)
    }
  }

  /** Entries of this instance, the newest first. */
  async ownAudit(limit: number): Promise<readonly AuditEntry[]> {
    return this.log.read(limit)
  }

  /** Entries of all instances, the newest first; and who could not be asked. */
  async audit(limit: number): Promise<{ readonly entries: readonly AuditEntry[] } & Told> {
    const all = [...this.log.read(limit)]
    const unreached = await this.ofEach(async (peer) => void all.push(...(await peer.audit(limit))))
    return { entries: all.sort((a, b) => b.atMs - a.atMs).slice(0, limit), unreached: this.withGone(unreached) }
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.closed = true
    this.timer?.cancel()
    await this.exchanging
    await this.log.close()
  }

  private exchangeLater(delayMs: number): void {
    if (this.closed) return
    this.timer?.cancel()
    this.timer = this.options.clock.setTimer(delayMs, () => {
      const before = this.exchanging
      this.exchanging = before.then(() => this.exchange()).then((unreached) => this.tellOf(unreached))
      void this.exchanging.then(() => this.exchangeLater(exchangeMs))
    })
  }

  /** Gives who could not be reached. */
  private exchange(): Promise<readonly string[]> {
    return this.ofEach(async (peer) => void this.tokens.merge(await peer.tokens(this.tokens.all())))
  }

  private async ofEach(ask: (peer: AccessPeer) => Promise<void>): Promise<readonly string[]> {
    const unreached: string[] = []
    const nowMs = this.options.clock.monotonicMs()
    await Promise.all(
      [...this.peers()].map(async ([name, peer]) => {
        this.met.set(name, nowMs)
        try {
          await ask(peer)
        } catch {
          unreached.push(name)
        }
      }),
    )
    return unreached.sort()
  }

  private withGone(unreached: readonly string[]): readonly string[] {
    const there = this.peers()
    const sinceMs = this.options.clock.monotonicMs() - rememberedMs
    for (const [name, metMs] of this.met) if (metMs < sinceMs) this.met.delete(name)
    const gone = [...this.met.keys()].filter((name) => !there.has(name))
    // it may have gone while it was asked
    return [...new Set([...unreached, ...gone])].sort()
  }

  /** Once for each that is not reached any more, and what it means. */
  private tellOf(unreached: readonly string[]): void {
    for (const name of this.silent) if (!unreached.includes(name)) this.silent.delete(name)
    for (const name of unreached) {
      if (this.silent.has(name)) continue
      this.silent.add(name)
      const why = `tokens could not be exchanged with ${name}: one that is revoked here is accepted there until it is reached`
      this.options.telemetry.log.warn(why)
    }
  }
}
