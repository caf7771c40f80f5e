/** Where snapshots are kept. */
export { DiskSnapshots, protectedOffsetOf, type DiskSnapshotsOptions } from './disk-snapshots.ts'
