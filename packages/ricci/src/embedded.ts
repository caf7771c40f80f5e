/** `ricci/embedded`: the backends that need no other program, for tools and tests around a data directory. Not for rules. */
export * from './coordination/index.ts'
export * from './log/index.ts'
export { evaluateBundle } from './rules/evaluate.ts'
export { ProtectingSnapshots } from './server/protected-log.ts'
export * from './snapshots/index.ts'
