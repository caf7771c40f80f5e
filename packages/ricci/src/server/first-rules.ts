/**
 * The very first records of a log: rules in each partition, before anything else is written there. An event that came before them would be
 * acknowledged and judged by none. Any number of servers may find the log empty at once; partition 0 says whose rules all partitions
 * begin with, and the last one is begun last: where that holds something, all do.
 */
import { encodeRecord, type RulesRecord } from '@ricci/engine'
import { ReplicaError, type Clock, type LogPort } from '@ricci/replica'
import { findInLog } from './record-time.ts'

/** Where the first rules are looked for: what may stand before them is marks of a publisher whose broker stalled. */
const soughtRecords = 100

/** Whether this log has yet to be given its first rules. @throws ReplicaError `LOG_UNAVAILABLE` */
export async function isWithoutRules(log: LogPort): Promise<boolean> {
  return (await log.endOf(log.partitions - 1)) === 0
}

/**
 * Writes the first rules of every partition that is empty; may be called again where it failed.
 * @param own for whoever is the first
 * @param signal nobody waits for brokers any more
 * @throws ReplicaError `LOG_UNAVAILABLE`; the signal's reason
 */
export async function writeFirstRules(
  log: LogPort,
  own: RulesRecord,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  let stop = (): void => undefined
  const stopped = new Promise<never>((_resolve, reject) => (stop = () => reject(signal.reason as Error)))
  signal.addEventListener('abort', stop)
  try {
    signal.throwIfAborted()
    await Promise.race([write(log, own, clock), stopped])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

async function write(log: LogPort, own: RulesRecord, clock: Clock): Promise<void> {
  const ownBytes = encodeRecord(own)
  let first = await firstRules(log, clock)
  if (first === undefined) {
    await log.append(0, [ownBytes], 'act')
    first = (await firstRules(log, clock)) ?? ownBytes
    // another's came before: ours switched what is to stay
    if (Buffer.compare(first, ownBytes) !== 0) await log.append(0, [first], 'act')
  }
  for (let partition = 1; partition < log.partitions; partition++) {
    if ((await log.endOf(partition)) === 0) await log.append(partition, [first], 'act')
  }
}

/** Of partition 0; undefined where it holds none. */
async function firstRules(log: LogPort, clock: Clock): Promise<Uint8Array | undefined> {
  const { first, end } = await log.range(0)
  const sought = { log, partition: 0, from: first, end: Math.min(end, first + soughtRecords), clock }
  const { found, isWhole } = await findInLog(sought, ({ kind }, bytes) =>
    kind === 'rules' ? bytes.slice() : undefined,
  )
  if (isWhole) return found
  throw new ReplicaError('LOG_UNAVAILABLE', 'the first rules of the log could not be read in time', true)
}
