import { electionStoreConformance, VirtualClock } from '@ricci/testkit'
import { memory } from './memory.ts'

/** How far a turn moves the clock, in ms. */
const turnMs = 10

electionStoreConformance('memory', async () => {
  const store = memory()
  const clock = new VirtualClock()
  return {
    store: () => store,
    clock,
    turn: () => clock.advance(turnMs),
    sessionsLast: true,
    servers: async () => 'memory: this process',
  }
})
