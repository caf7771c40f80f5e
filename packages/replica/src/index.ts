export { ReplicaError, type ReplicaErrorCode } from './errors.ts'
export * from './ports.ts'
