export { coordinationConformance, type CoordinationBackend } from './conformance/coordination.ts'
export { type ElectionStoreBackend } from './conformance/election-bench.ts'
export { electionStoreConformance } from './conformance/election-store.ts'
export { logConformance, type LogBackend } from './conformance/log.ts'
export { snapshotConformance, type SnapshotBackend } from './conformance/snapshots.ts'
export { FaultyDisk, type DiskFate, type DiskStep, type FaultyDiskOptions } from './disk/faulty-disk.ts'
export { VirtualClock } from './clock.ts'
export { stillHeld } from './garbage.ts'
export { SeededRandom } from './random.ts'
export { electionScene, ElectionScene, recorded, sceneLeaseMs, watch } from './scripted/election-scene.ts'
export { ScriptedElectionStore } from './scripted/election-store.ts'
export {
  ScriptedCoordination,
  ScriptedLog,
  ScriptedSnapshots,
  ScriptedSink,
  ScriptedTransport,
  taken,
  type AppendFate,
} from './scripted/ports.ts'
export { EngineBench } from './laws/engine-bench.ts'
export { House } from './scripted/house.ts'
export { CertificateAuthority, type Certificate, type CertificateOptions } from './servers/certificates.ts'
export { ConsulCluster, type ConsulAgent, type ConsulOptions } from './servers/consul.ts'
export { EtcdCluster, type EtcdMember, type EtcdOptions, type EtcdUser } from './servers/etcd.ts'
export { HttpMeddler, type MeddledAnswer, type MeddledRequest } from './servers/meddler.ts'
export { PgBouncer, type PgBouncerOptions } from './servers/pgbouncer.ts'
export { PlainClient } from './servers/plain-client.ts'
export { PostgresServer, type PostgresOptions, type PostgresRestart } from './servers/postgres.ts'
export {
  rabbitAdmin,
  RabbitCluster,
  type RabbitBroker,
  type RabbitOptions,
  type RabbitUser,
} from './servers/rabbitmq.ts'
export { TcpProxy, type Direction, type ProxyBehaviour, type ProxyCounts, type ProxyOptions } from './servers/proxy.ts'
export { program, without, type Program, type ProgramName } from './servers/program.ts'
