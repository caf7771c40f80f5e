export { FaultyDisk, type DiskFate, type DiskStep, type FaultyDiskOptions } from './disk/faulty-disk.ts'
export { VirtualClock } from './clock.ts'
export { SeededRandom } from './random.ts'
