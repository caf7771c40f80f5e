import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isFull, writeFileDurably } from '../log/index.ts'

const fileName = 'incarnation'

/** A start takes so many incarnations at once, for the lives begun after a refused append: a full log refuses for days, thousands of times a second. */
const perStart = 2 ** 32

/**
 * The incarnation of this start, from a counter kept in the data directory: higher than all of earlier starts on this data.
 * A data directory that was put back from a copy counts from the copy on; the random part, which a producer's name carries, tells
 * the two apart.
 * @returns the random part as it was handed in at the first start (at this one, where the disk is full), and the incarnation
 */
export function nextIncarnation(directory: string, random: () => number): { identity: string; incarnation: number } {
  const file = join(directory, fileName)
  let starts = 0
  let identity = ''
  try {
    const [count, id] = readFileSync(file, 'utf8').trim().split(' ')
    starts = Number.parseInt(count, 10)
    identity = id ?? ''
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  // a file cut short by a crash of the machine: a new identity makes its number irrelevant
  if (!Number.isSafeInteger(starts) || !/^[0-9a-f]{8}$/.test(identity)) {
    starts = 0
    identity = newIdentity(random)
  }
  starts++
  try {
    writeFileDurably(file, `${starts} ${identity}\n`)
  } catch (error) {
    if (!isFull(error)) throw error
    // the server starts all the same; a count that is not kept must not come again, so this life goes by a name of its own
    return { identity: newIdentity(random), incarnation: perStart }
  }
  return { identity, incarnation: starts * perStart }
}

function newIdentity(random: () => number): string {
  return Math.floor(random() * 0x1_0000_0000)
    .toString(16)
    .padStart(8, '0')
}
