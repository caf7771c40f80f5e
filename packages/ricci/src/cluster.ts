/** `ricci/cluster`: what a cluster's instances stand on, over whatever speaks to brokers and to each other, for tools and tests. Not for rules. */
export { RabbitLog, type RabbitLogOptions } from './log/rabbitmq/rabbit-log.ts'
export type { BrokerClient, ClientMaker } from './log/rabbitmq/connection.ts'
export { Inboxes, type InboxesOptions } from './log/rabbitmq/inbox.ts'
export {
  defaultTopology,
  eventsExchange,
  identityStream,
  inboxOf,
  logExchange,
  refusedName,
  streamOf,
} from './log/rabbitmq/topology.ts'
export { PeerSnapshots, type PeerSnapshotsOptions } from './peers/peer-snapshots.ts'
