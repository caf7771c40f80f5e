/** Who may claim a partition. */
export { coordinationInProcess, GroupCoordination, type HoldBack } from './group.ts'
