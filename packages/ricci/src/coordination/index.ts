/** Who may claim a partition. */
export { coordinationInProcess, GroupCoordination, type CoordinationOptions } from './group.ts'
