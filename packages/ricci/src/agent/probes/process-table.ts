import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs'

/** The machine's processes; handed in by tests. */
export interface ProcessTable {
  pids(): number[]
  /** The text of /proc/PID/stat; undefined where the process is gone. */
  stat(pid: number): string | undefined
  /** Bytes of a page, and ticks in a second of CPU time. */
  readonly units: { readonly pageBytes: number; readonly ticksPerSecond: number }
}

/** Its numbers are at most 20 digits long, its name 16 bytes. */
const statBytes = 2_048
const buffer = Buffer.allocUnsafe(statBytes)

/**
 * This machine's. Read synchronously: the kernel answers from memory and waits for no process, and through the thread pool five thousand reads cost ten times
 * as much.
 */
export const thisProcessTable: ProcessTable = {
  pids: () => readdirSync('/proc').map(Number).filter(Number.isInteger),
  stat(pid) {
    let file: number | undefined
    try {
      file = openSync(`/proc/${pid}/stat`, 'r')
      return buffer.toString('utf8', 0, readSync(file, buffer, 0, statBytes, 0))
    } catch {
      return undefined
    } finally {
      if (file !== undefined) closeSync(file)
    }
  },
  get units() {
    return (units ??= readUnits())
  },
}

let units: ProcessTable['units'] | undefined

/** Keys of the auxiliary vector that the kernel hands to each program. Source: getauxval(3). */
const pageSizeKey = 6n
const ticksKey = 17n

function readUnits(): ProcessTable['units'] {
  // what x86 and most others have, should the vector not be 64 bits wide or be hidden
  const found = { pageBytes: 4_096, ticksPerSecond: 100 }
  let vector: Buffer
  try {
    vector = readFileSync('/proc/self/auxv')
  } catch {
    return found
  }
  for (let at = 0; at + 16 <= vector.length; at += 16) {
    const word = (offset: number) => (littleEndian ? vector.readBigUInt64LE(offset) : vector.readBigUInt64BE(offset))
    if (word(at) === pageSizeKey) found.pageBytes = Number(word(at + 8))
    if (word(at) === ticksKey) found.ticksPerSecond = Number(word(at + 8))
  }
  return found
}

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1
