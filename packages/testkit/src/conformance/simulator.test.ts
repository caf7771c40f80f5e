/** The simulator's backends in calm weather keep the same promises as the real ones. */
import type { TestContext } from 'node:test'
import { SimCoordination } from '../simulator/coordination.ts'
import { SimLog } from '../simulator/log.ts'
import { MachineClock, Process } from '../simulator/process.ts'
import { SimSnapshots } from '../simulator/snapshots.ts'
import { World } from '../simulator/world.ts'
import { coordinationConformance } from './coordination.ts'
import { logConformance } from './log.ts'
import { snapshotConformance } from './snapshots.ts'
import { eventLoopTurn } from './turns.ts'

/** A world whose time passes for as long as the test runs: some virtual milliseconds a turn of the event loop. */
function livingWorld(context: TestContext): { world: World; start: () => Process } {
  const world = new World(1, { keepTrace: false })
  let ended = false
  const passing = (async () => {
    while (!ended) {
      await world.clock.advance(20)
      await eventLoopTurn()
    }
  })()
  context.after(() => {
    ended = true
    return passing
  })
  let processes = 0
  return { world, start: () => new Process(world, `p${++processes}`, new MachineClock(world, 1, 0)) }
}

logConformance('the simulated log', async (context) => {
  const { world, start } = livingWorld(context)
  const log = new SimLog(world, 3)
  return { open: async () => log.connect(start()) }
})

snapshotConformance('the simulated store', async (context) => {
  const { world, start } = livingWorld(context)
  const store = new SimSnapshots(world)
  return { open: async () => store.connect(start()) }
})

coordinationConformance('the simulated service', async (context) => {
  const { world, start } = livingWorld(context)
  const service = new SimCoordination(world, 8)
  return { join: async (instance) => service.connect(start(), instance) }
})
