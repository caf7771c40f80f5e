export * from './coordination/index.ts'
export * from './log/index.ts'
export * from './snapshots/index.ts'
