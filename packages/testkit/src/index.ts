export { VirtualClock } from './clock.ts'
export { SeededRandom } from './random.ts'
