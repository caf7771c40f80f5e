import { crc32 } from 'node:zlib'

/**
 * CPU seconds of one {@link yardstick} on the processor that limits are given for. Shared machines give the same work twice as
 * much of a processor's time on one day as on another (caches, memory, the other half of a core), so that a limit in seconds
 * says as much of the day as of the code; against work of the same kind in the same process it says what the code costs.
 * That processor is reckoned, not measured: 100 seeds took it some twenty seconds, by the comment in `simulator.test.ts`, and the
 * yardstick was made to fit where they took seventy.
 */
const referenceSeconds = 0.1

const secondsOf = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1e6

/** What a batch of seeds takes of the processor's time, in seconds of the processor that limits are given for. */
export class ProcessorTime {
  #yardsticks = 0
  #yardstickSeconds = 0

  /** @param limitSeconds from when on a batch has taken too much */
  constructor(private readonly limitSeconds: number) {}

  /** Measures what the processor gives at present: to be called now and then while the batch runs, for that changes. */
  async compare(): Promise<void> {
    const before = process.cpuUsage()
    await yardstick()
    this.#yardstickSeconds += secondsOf(process.cpuUsage(before))
    this.#yardsticks++
  }

  /** Whether it was too much, and a line that says how much; `compare` has been called at least once. */
  read(): { readonly isOver: boolean; readonly text: string } {
    const taken = secondsOf(process.cpuUsage()) - this.#yardstickSeconds
    const pace = (referenceSeconds * this.#yardsticks) / this.#yardstickSeconds
    const seconds = taken * pace
    const isOver = seconds > this.limitSeconds
    const limit = isOver ? `: more than ${this.limitSeconds} s` : ''
    return {
      isOver,
      text: `${taken.toFixed(0)} s of this processor, ${seconds.toFixed(0)} s of the one that limits are given for${limit}`,
    }
  }
}

/**
 * What a simulator does most: small objects made and dropped, texts and bytes of them, checksums, maps, promises; and as it does, among so
 * many of them that the processor's caches do not hold all. Always the same.
 */
async function yardstick(): Promise<void> {
  const encoder = new TextEncoder()
  const decoder = new TextDecoder()
  const kept = new Map<number, { readonly host: string; readonly bytes: Uint8Array; read: number }>()
  let at = 1
  for (let offset = 0; offset < yardstickRounds; offset++) {
    const record = {
      offset,
      host: `host-${offset % 97}`,
      service: `service ${offset % 31}`,
      metric: offset / 7,
      tags: Array.from({ length: 3 }, (_, i) => `tag-${(offset + i) % 11}`),
    }
    const bytes = encoder.encode(JSON.stringify(record))
    kept.set(offset, { host: record.host, bytes, read: 0 })
    await null
    for (let looks = 0; looks < 2; looks++) {
      at = (Math.imul(at, 1_103_515_245) + 12_345) >>> 0
      const other = kept.get(at % kept.size)!
      const { host } = JSON.parse(decoder.decode(other.bytes)) as typeof record
      other.read += host === other.host ? crc32(other.bytes) & 1 : 0
    }
  }
}

/** So many that it takes {@link referenceSeconds} there. */
const yardstickRounds = 20_000
