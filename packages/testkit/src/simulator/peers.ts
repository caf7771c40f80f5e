import { ReplicaError, type SnapshotInfo, type SnapshotPort } from '@ricci/replica'
import type { PeerSnapshotsOptions } from 'ricci/cluster'
import type { SeededRandom } from '../random.ts'
import { machineOf, Pipe, type SimNetwork } from './network.ts'
import type { Process } from './process.ts'

type PeerClient = PeerSnapshotsOptions['client']
type Peer = ReturnType<PeerClient['at']>

/** What another instance has for those who ask it: its process, and its snapshots. */
export interface AskedPeer {
  readonly process: Process
  readonly snapshots: SnapshotPort
}

/** Where an instance is reached by the others. */
export function peerAddress(instance: string): string {
  return `${instance}:5557`
}

/** One instance's way to the others, in place of the product's channel: what they have of snapshots, through the network between them. */
export class SimPeerClient implements PeerClient {
  constructor(
    private readonly process: Process,
    private readonly network: SimNetwork,
    private readonly random: SeededRandom,
    /** Who answers at a machine now. */
    private readonly peerOf: (machine: string) => AskedPeer | undefined,
  ) {}

  at(address: string): Peer {
    const { process } = this
    const machine = address.slice(0, address.indexOf(':'))
    const peer = {
      snapshots: (partition: number): Promise<readonly SnapshotInfo[]> =>
        this.#ask(machine, ({ snapshots }) => snapshots.list(partition)),
      snapshot: (info: SnapshotInfo): Promise<Uint8Array> =>
        this.#ask(machine, ({ snapshots }) => {
          process.world.exercise('snapshot of a peer')
          return snapshots.fetch(info)
        }),
    }
    // Of a peer the product's snapshots use what this one has.
    return peer as unknown as Peer
  }

  /** Whoever is cut off or stopped answers later, or never: who asks has a limit. */
  #ask<T>(machine: string, give: (peer: AskedPeer) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const { process, network, random } = this
      const peer = this.peerOf(machine)
      if (peer === undefined) {
        const refused = new ReplicaError('SNAPSHOT_UNREADABLE', `${machine} refuses the connection`, true)
        return process.deliverAfter(1, () => reject(refused))
      }
      const here = machineOf(process)
      const there = new Pipe(network, random, here, machine, (callback) => peer.process.deliver(callback))
      const back = new Pipe(network, random, machine, here, (callback) => process.deliver(callback))
      there.send(() => {
        give(peer).then(
          (given) => back.send(() => resolve(given)),
          (error: Error) => back.send(() => reject(error)),
        )
      })
    })
  }
}
