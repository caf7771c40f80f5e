import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** How many of these are still there when all garbage has been collected: what grows with them is a leak. */
export async function stillHeld(things: readonly WeakRef<object>[]): Promise<number> {
  // what this turn has looked at stays until its end
  await new Promise((resolve) => setImmediate(resolve))
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  collectGarbage()
  return things.filter((thing) => thing.deref() !== undefined).length
}
