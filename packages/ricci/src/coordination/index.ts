/** Who may claim a partition. */
export { InProcessCoordination, LeaseTable } from './in-process.ts'
