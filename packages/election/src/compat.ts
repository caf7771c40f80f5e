/**
 * `@ricci/election/compat`: a drop-in for `exp-leader-election`. The same function, the same options, the same two events; behind them
 * an election that can be trusted.
 */
import { EventEmitter } from 'node:events'
import { Election } from './election.ts'
import type { ElectionError } from './errors.ts'
import type { LeaseStore } from './store.ts'
import { consul } from './stores/consul.ts'

/** The options of `exp-leader-election`. */
export interface LeaderElectionConfig {
  /** Names the election: a path of letters, digits and `. _ - : @ /`. */
  readonly key: string
  readonly consul?: {
    readonly host?: string
    readonly port?: number | string
    readonly secure?: boolean
    readonly token?: string
    /** Not used: a dead leader is noticed by a health check of its own, within 2 s. */
    readonly ttl?: number
    /** Not used: nothing rests on Consul's lock-delay. */
    readonly lockDelay?: number
    /** Not used: who waits is told. */
    readonly readWait?: number
  }
  /** Told what happens, in words. */
  readonly debug?: (...words: unknown[]) => void
  /** For tests: another store. */
  readonly store?: LeaseStore
}

/** What {@link leaderElection} gives: an emitter, and the election behind it. */
export interface LeaderElection extends EventEmitter<{
  gainedLeadership: [sessionId: string]
  error: [reason: unknown]
}> {
  /** What `exp-leader-election` has not: its end. Leadership is handed on at once. */
  close(): Promise<void>
  readonly election: Election
}

/**
 * Campaigns at once and for ever. `gainedLeadership` when we lead, `error` when we do no longer: stop working, there will be another
 * `gainedLeadership`. As before, an `error` without a listener ends the process; trouble with the store that costs no leadership
 * is no error.
 */
export function leaderElection(config: LeaderElectionConfig): LeaderElection {
  const { key, consul: at = {}, debug = () => undefined } = config
  const scheme = at.secure === true ? 'https' : 'http'
  const address = `${scheme}://${at.host ?? '127.0.0.1'}:${at.port ?? 8500}`
  const store = config.store ?? consul({ addresses: [address], ...(at.token !== undefined && { token: at.token }) })
  // Consul's keys may have slashes, names of groups have none.
  const election = new Election({ name: key.replaceAll('/', ':'), store })
  const emitter = Object.assign(new EventEmitter(), { election, close: () => election.close() }) as LeaderElection
  let leads = false
  const gained = (): void => {
    leads = true
    emitter.emit('gainedLeadership', election.group.self.session ?? '')
  }
  // Who was suspended has told already that it leads no longer: what follows is no second loss. Who closes it knows.
  const lost = (reason: ElectionError): void => {
    const led = leads
    leads = false
    if (led && !election.group.isClosing) emitter.emit('error', reason)
  }
  election.on('elected', gained).on('resumed', gained)
  for (const event of ['suspended', 'deposed', 'resigned'] as const) election.on(event, lost)
  election.on('state', ({ role, reason }) => debug(role, reason))
  election.on('warning', ({ code, message }) => debug(code, message))
  election.stand()
  return emitter
}
