/** `ricci/cluster`: the log of a cluster over whatever speaks to its brokers, for tools and tests. Not for rules. */
export { RabbitLog, type RabbitLogOptions } from './log/rabbitmq/rabbit-log.ts'
export type { BrokerClient, ClientMaker } from './log/rabbitmq/connection.ts'
export { identityStream, logExchange, streamOf } from './log/rabbitmq/topology.ts'
