/** A channel by which records reach one partition. */
import { ReplicaError } from '@ricci/replica'
import type { Brokers } from './brokers.ts'
import { unavailable } from './connection.ts'
import type { ConfirmChannel } from './publisher.ts'
import { declarePartition, logExchange, type Topology } from './topology.ts'

/**
 * Opens one at the first broker, from `from` on, that can be had, and makes what is missing of the way to the partition.
 * @throws ReplicaError `LOG_UNAVAILABLE`
 */
export async function openConfirmChannel(
  brokers: Brokers,
  partition: number,
  topology: Topology,
  from: number,
): Promise<{ readonly broker: number; readonly channel: ConfirmChannel }> {
  const { broker, connection } = await brokers.connect(from)
  if (connection.blocked !== undefined) {
    throw new ReplicaError('LOG_UNAVAILABLE', `broker ${connection.name} takes no records: ${connection.blocked}`, true)
  }
  const channel = await connection.channel()
  let returned: string | undefined
  channel.onReturn = ({ replyText }) => (returned = replyText ?? 'no reason given')
  await connection.ask(async () => {
    await declarePartition(channel, partition, topology)
    await channel.confirmSelect()
  }, 'does not confirm')
  const key = String(partition)
  const publish = async (record: Uint8Array, id: string): Promise<void> => {
    await channel.basicPublish(logExchange, key, record, { messageId: id, deliveryMode: 2 }, true)
    // it says so before it confirms: the way to the stream is gone, and made anew with the next channel
    if (returned !== undefined) throw unavailable(new Error(returned), 'a record was returned')
  }
  let forget = (): void => undefined
  const onBlocked = (listener: (why: string | undefined) => void): void => {
    forget = connection.onBlocked(listener)
  }
  const close = (): void => {
    forget()
    void channel.close().catch(() => undefined)
  }
  return { broker, channel: { publish, onBlocked, close } }
}
