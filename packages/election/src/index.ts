/** Leader election for any Node program: see the package's README. */
export type { CampaignOptions, CandidateEvents, CandidateOptions } from './campaign.ts'
export { Candidate } from './candidate.ts'
export type { Ablation } from './candidacy.ts'
export { systemClock, type Clock, type Moment, type Random, type Timer } from './clock.ts'
export { profiles, type Duration, type Pace, type Profile } from './durations.ts'
export { Election, type ElectionOptions } from './election.ts'
export { ElectionError, StaleTermError, type ElectionErrorCode } from './errors.ts'
export { type TlsOptions } from './http.ts'
export { ElectionGroup, type GroupEvents, type GroupOptions } from './group.ts'
export { type Leadership, type Role } from './leadership.ts'
export { type ElectionStats } from './stats.ts'
export type {
  Acquisition,
  GroupView,
  HandOverRequest,
  Journal,
  JournalEntry,
  Json,
  LeaseStore,
  Member,
  NameView,
  Release,
  SessionOptions,
  StoreSession,
} from './store.ts'
export { storeForms, storeFromUrl, type StoreSettings } from './stores/from-url.ts'
export { consul, type ConsulOptions } from './stores/consul.ts'
export { etcd, type EtcdOptions } from './stores/etcd.ts'
export { memory, type MemoryOptions } from './stores/memory.ts'
export { postgres, postgresSchema, type PostgresExpiry, type PostgresOptions } from './stores/postgres.ts'
export { Term, type ActOptions, type Gate, type InDoubt } from './term.ts'
