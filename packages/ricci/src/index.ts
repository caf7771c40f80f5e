/** What rules import: every operator, the folds, and the types of their events. */
export * from '@ricci/engine/vocabulary'
export * from './coordination/index.ts'
export * from './log/index.ts'
export { evaluateBundle } from './rules/evaluate.ts'
export * from './snapshots/index.ts'
