/** The partitions that this instance keeps a replica of: which those are is decided by placement, and changes while it runs. */
import { Partition, type PartitionOptions } from './partition.ts'

export class Partitions {
  private readonly running = new Map<number, Partition>()
  /** By partition, what is being done to it: one thing after another. */
  private readonly turns = new Map<number, Promise<void>>()
  private closed = false

  /** @param options for each partition that begins: the rules are the newest there are then */
  constructor(private readonly options: () => PartitionOptions) {}

  get(partition: number): Partition | undefined {
    return this.running.get(partition)
  }

  /** One whose engine holds what the log says; of an only server's any, for nobody else can be asked. */
  asked(partition: number, alone: boolean): Partition | undefined {
    const found = this.running.get(partition)
    return alone || found?.isCaughtUp === true ? found : undefined
  }

  /** Numbers of those that this instance owns. */
  owned(): readonly number[] {
    return this.all().flatMap(({ number, replica }) => (replica.state === 'owning' ? [number] : []))
  }

  /** In the order of their numbers. */
  all(): readonly Partition[] {
    return [...this.running.values()].sort((a, b) => a.number - b.number)
  }

  /** Begins a replica, once an earlier one has ended. */
  run(partition: number): Promise<void> {
    return this.inTurn(partition, async () => {
      if (this.closed || this.running.has(partition)) return
      const begun = new Partition(partition, this.options())
      this.running.set(partition, begun)
      void begun.start()
    })
  }

  /** Ends a replica; resolves when it has stepped down and left its snapshot. */
  end(partition: number): Promise<void> {
    return this.inTurn(partition, async () => {
      const ended = this.running.get(partition)
      if (ended === undefined) return
      await ended.stop()
      this.running.delete(partition)
    })
  }

  /** Ends all; none begins any more. */
  async close(): Promise<void> {
    this.closed = true
    await Promise.all([...this.running.keys(), ...this.turns.keys()].map((partition) => this.end(partition)))
  }

  /** A figure over all of them. */
  sum(of: (partition: Partition) => number): number {
    let sum = 0
    for (const partition of this.running.values()) sum += of(partition)
    return sum
  }

  private inTurn(partition: number, action: () => Promise<void>): Promise<void> {
    const turn = (this.turns.get(partition) ?? Promise.resolve()).then(action, action)
    this.turns.set(partition, turn)
    const done = (): void => {
      if (this.turns.get(partition) === turn) this.turns.delete(partition)
    }
    turn.then(done, done)
    return turn
  }
}
