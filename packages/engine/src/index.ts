export type { Engine, EngineObserver, Hashes, Ownership, QueryOptions, QueryPage } from './engine.ts'
export { EngineError, type EngineErrorCode } from './errors.ts'
export type { Attempt, PageAction, PageChanges, PendingPage } from './decisions/page.ts'
export * from './records.ts'
