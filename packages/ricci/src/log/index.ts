/** The embedded log: what the daemon, its worker and the tests use of it. */
export { nodeDisk, type Disk, type ReadableFile, type WritableFile } from './disk.ts'
export type { DirectoryLock } from './directory-lock.ts'
export { EmbeddedLog, type EmbeddedLogOptions } from './embedded-log.ts'
export { describeLogEvent, isAlarm, type LogEvent } from './events.ts'
export { LogFollower, type FollowerOptions } from './follower.ts'
export { defaultLogLimits, maxAppendBytes, maxRecordBytes, type LogLimits } from './limits.ts'
export { LogProgress, type Durable } from './progress.ts'
export { RecordBatch } from './segment-reader.ts'
