/** Waiting for what a port does in its own time, without looking at a clock. */
import assert from 'node:assert/strict'

/** Turns of the event loop that nothing in process or on a local disk needs in full; a store on the network brings its own `turn`. */
const maxTurns = 20_000

/** Lets time pass for a backend; one turn of the event loop unless it has another way (a virtual clock that must be moved, say). */
export type Turn = () => Promise<void>

export const eventLoopTurn: Turn = () => new Promise((resolve) => setImmediate(resolve))

/** Waits until `holds`. @throws AssertionError naming what did not come */
export async function until(what: string, holds: () => boolean, turn: Turn = eventLoopTurn): Promise<void> {
  for (let turns = 0; !holds(); turns++) {
    if (turns === maxTurns) assert.fail(`this did not happen: ${what}`)
    await turn()
  }
}

/** Lets things happen that must not: many turns. */
export async function settle(turn: Turn = eventLoopTurn): Promise<void> {
  for (let turns = 0; turns < 50; turns++) await turn()
}
