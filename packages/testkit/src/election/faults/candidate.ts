/**
 * One candidate as a process of its own: stands, acts every few ms while it leads, and writes what happens to it to its standard output, a line each,
 * with the time on the machine's monotonic clock, which all processes share. `node candidate.mjs SETTINGS`, SETTINGS as JSON.
 */
import { writeSync } from 'node:fs'
import { Election, consul, etcd, postgres, type Duration, type LeaseStore } from '@ricci/election'
import { witnessed } from './witness.ts'

/** What a candidate is told. */
export interface CandidateSettings {
  readonly kind: 'consul' | 'etcd' | 'postgres'
  /** Where the store is. */
  readonly addresses: readonly string[]
  readonly name: string
  readonly id: string
  readonly lease: Duration
  readonly detect: Duration
  /** With etcd: whether its leases are trusted, of whatever version it is. */
  readonly trustLease?: boolean
  /** With PostgreSQL: whose clock says that a lease has run out. */
  readonly expiry?: 'observed' | 'database-clock'
}

/** What a candidate tells. */
export type CandidateEvent =
  | 'standing'
  | 'acquired'
  | 'elected'
  | 'resumed'
  | 'suspended'
  | 'deposed'
  | 'resigned'
  | 'act'
  | 'slip'
  | 'starved'
  | 'doubled'
  | 'jumped'

/** How often it acts, in ms. */
const actEveryMs = 5

/** An act for which the look at the clock and the word of it lie further apart than this was frozen in between, in ms. */
const slipMs = 5

/** Whose turn comes this late was kept from running: half of the shortest detection time in use, in ms. */
const starvedMs = 250

/** A wall clock that leaves the monotonic one by more than this has jumped, in ms. */
const jumpMs = 60_000

const settings = JSON.parse(process.argv[2]) as CandidateSettings

function store({ kind, addresses, trustLease, expiry }: CandidateSettings): LeaseStore {
  if (kind === 'consul') return consul({ addresses })
  if (kind === 'etcd') return etcd({ addresses, ...(trustLease === true && { trustLease: 'unfixed' as const }) })
  return postgres({ url: addresses[0], ...(expiry !== undefined && { expiry }) })
}

const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6
const tell = (event: CandidateEvent, token: bigint | undefined, atMs = nowMs(), more = ''): void =>
  void writeSync(1, `${event} ${atMs.toFixed(3)} ${token ?? 0n}${more}\n`)

const watched = witnessed(store(settings), 'leader', nowMs, (grant) =>
  tell('acquired', grant.token, grant.atMs, ` ${grant.seenFreeMs.toFixed(3)} ${grant.waitMs}`),
)
const election = new Election({ ...settings, store: watched })
let token: bigint | undefined
election.on('elected', (term) => tell('elected', (token = term.token)))
election.on('resumed', (term) => tell('resumed', (token = term.token)))
for (const event of ['suspended', 'deposed', 'resigned'] as const) election.on(event, () => tell(event, token))
election.on('warning', ({ code, message }) => {
  if (code === 'DUPLICATE_ID') tell('doubled', token)
  process.stderr.write(`${code} ${message}\n`)
})
election.stand()
tell('standing', undefined)

let before = nowMs()
let wallAheadMs = Date.now() - before
const acting = setInterval(() => {
  const looked = nowMs()
  if (looked - before > starvedMs) tell('starved', token)
  before = looked
  if (Math.abs(Date.now() - looked - wallAheadMs) > jumpMs) {
    wallAheadMs = Date.now() - looked
    tell('jumped', token)
  }
  if (!election.isLeader) return
  const acted = nowMs()
  tell(acted - looked > slipMs ? 'slip' : 'act', election.term!.token, acted)
}, actEveryMs)

process.once('SIGTERM', () => {
  clearInterval(acting)
  void election.close()
})
