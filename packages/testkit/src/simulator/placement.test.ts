/** Placement over a simulated store: who runs what, as members come and go. What replicas do is reduced to how long it takes. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Placement, type CoordinationPort, type Lease, type ReplicaState } from '@ricci/replica'
import { SimCoordination } from './coordination.ts'
import { MachineClock, Process } from './process.ts'
import { World } from './world.ts'

/** How long a replica restores, and how long a claim takes to be read back. */
const restoreMs = { least: 100, most: 900 }
const claimMs = { least: 10, most: 60 }

/** Longer than anything that placement waits for: a minute before it asks, and then one partition after the other. */
const settledMs = 180_000

/** A replica, as others see it. */
class FakeReplica {
  state: ReplicaState = 'restoring'
  readonly #campaign = new AbortController()
  #lease: Lease | undefined
  #onDethroned: () => void = () => undefined

  constructor(
    readonly instance: FakeInstance,
    readonly partition: number,
  ) {
    const { random } = instance.cluster.world
    instance.after(random.between(restoreMs.least, restoreMs.most), () => {
      if (this.state !== 'restoring') return
      this.#become('following')
      instance.port.campaign(partition, (lease) => this.#given(lease), this.#campaign.signal)
    })
  }

  dethroned(): void {
    if (this.state !== 'owning') return
    // A lease that was used does not count against who owns by the log.
    this.#lease = undefined
    this.#become('stepping-down')
    this.#onDethroned()
    this.instance.after(20, () => {
      if (this.state !== 'stepping-down' || this.#campaign.signal.aborted) return
      this.#become('following')
    })
  }

  async stop(): Promise<void> {
    const { port, name } = this.instance
    if (this.state === 'owning') {
      const to = port
        .members()
        .find(
          ({ instance, data }) =>
            instance !== name && !data.draining && data.partitions[this.partition] === 'following',
        )
      const dethroned = new Promise<void>((resolve) => (this.#onDethroned = resolve))
      if (to !== undefined) {
        port.handOver(this.partition, to.instance)
        this.instance.after(5_000, () => this.#onDethroned())
        await dethroned
      }
    }
    this.#campaign.abort()
    this.#become('stopped')
    this.instance.cluster.ended(this)
  }

  #given(lease: Lease | undefined): void {
    this.#lease = lease
    this.#claim()
  }

  #claim(): void {
    if (this.#lease === undefined || this.state !== 'following') return
    const { random } = this.instance.cluster.world
    this.#become('claiming')
    this.instance.after(random.between(claimMs.least, claimMs.most), () => {
      if (this.state !== 'claiming') return
      this.instance.cluster.claimed(this)
      this.#become('owning')
    })
  }

  #become(state: ReplicaState): void {
    this.state = state
    this.instance.placement.observe(this.partition, state)
    this.instance.cluster.check()
  }
}

class FakeInstance {
  readonly process: Process
  readonly port: CoordinationPort
  readonly placement: Placement
  readonly replicas = new Map<number, FakeReplica>()
  started = 0
  ended = 0

  constructor(
    readonly cluster: FakeCluster,
    readonly name: string,
    zone?: string,
  ) {
    const { world, partitions } = cluster
    this.process = new Process(world, `${name}#${++cluster.lives}`, new MachineClock(world, 1, 0))
    this.port = cluster.coordination.connect(this.process, name)
    this.placement = new Placement({
      instance: name,
      ...(zone !== undefined && { zone }),
      version: '1',
      partitions,
      coordination: this.port,
      clock: this.process.clock,
      run: (partition) => {
        assert.ok(!this.replicas.has(partition), 'it runs one replica of a partition')
        this.started++
        this.replicas.set(partition, new FakeReplica(this, partition))
      },
      end: async (partition) => {
        this.ended++
        await this.replicas.get(partition)!.stop()
        this.replicas.delete(partition)
      },
    })
    this.placement.start()
  }

  after(ms: number, callback: () => void): void {
    this.process.clock.setTimer(ms, callback)
  }
}

class FakeCluster {
  readonly world: World
  readonly coordination: SimCoordination
  readonly live = new Map<string, FakeInstance>()
  /** By partition, as the log says. */
  readonly owners = new Map<number, FakeReplica>()
  readonly gaps: string[] = []
  /** Checked after each change of a replica's: tells what is not as it is to be. */
  law: (() => string | undefined) | undefined
  lives = 0
  moves = 0

  constructor(
    readonly partitions: number,
    seed = 1,
  ) {
    this.world = new World(seed, { keepTrace: false })
    this.coordination = new SimCoordination(this.world, partitions)
  }

  start(name: string, zone?: string): FakeInstance {
    const instance = new FakeInstance(this, name, zone)
    this.live.set(name, instance)
    return instance
  }

  async stop(name: string): Promise<void> {
    const instance = this.live.get(name)!
    let stopped = false
    void instance.placement.stop().then(() => (stopped = true))
    assert.ok(await this.world.clock.advanceUntil(() => stopped, 60_000), `${name} stops`)
    await instance.port.close()
    instance.process.kill()
    this.live.delete(name)
  }

  kill(name: string): void {
    const instance = this.live.get(name)!
    instance.process.kill()
    this.live.delete(name)
    for (const [partition, owner] of this.owners) if (owner.instance === instance) this.owners.delete(partition)
  }

  claimed(replica: FakeReplica): void {
    this.moves++
    const before = this.owners.get(replica.partition)
    this.owners.set(replica.partition, replica)
    before?.dethroned()
  }

  ended(replica: FakeReplica): void {
    if (this.owners.get(replica.partition) === replica) this.owners.delete(replica.partition)
  }

  check(): void {
    const wrong = this.law?.()
    if (wrong !== undefined && this.gaps.length < 3) this.gaps.push(wrong)
  }

  replicasOf(partition: number): FakeReplica[] {
    return [...this.live.values()].flatMap(({ replicas }) => replicas.get(partition) ?? [])
  }

  /** What keeps the cluster from being as it is to be; empty when it is. */
  wrongs(): string[] {
    const wrongs: string[] = []
    const able = [...this.live.values()].filter(({ placement }) => !placement.draining)
    for (let partition = 0; partition < this.partitions; partition++) {
      const replicas = this.replicasOf(partition)
      const states = replicas.map(({ instance, state }) => `${instance.name} ${state}`).join(', ')
      const owning = replicas.filter(({ state }) => state === 'owning')
      const ready = replicas.every(({ state }) => state === 'owning' || state === 'following')
      const placed = replicas.length === Math.min(2, able.length) && owning.length === 1 && ready
      const first = this.live.get(able[0]?.name)?.placement.explain(partition).ranking[0]?.instance
      if (!placed || owning[0].instance.name !== first) wrongs.push(`p${partition}: ${states} (first: ${first})`)
    }
    return wrongs
  }

  async settles(what: string): Promise<void> {
    let settled = false
    // Looked at now and then: a look at everything after each timer would cost more than all the rest.
    for (let ms = 0; ms < settledMs && !settled; ms += 500) {
      await this.advance(500)
      settled = this.wrongs().length === 0
    }
    assert.ok(settled, `${what}: ${this.wrongs().join('; ')}`)
    // Until everybody has been shown that.
    await this.advance(1_000)
  }

  advance(ms: number): Promise<void> {
    return this.world.clock.advance(ms)
  }

  async close(): Promise<void> {
    for (const name of [...this.live.keys()]) await this.stop(name)
  }
}

/** Somebody owns each partition, or stands by with all of it. */
function somebodyThere(cluster: FakeCluster): () => string | undefined {
  return () => {
    for (let partition = 0; partition < cluster.partitions; partition++) {
      const there = cluster
        .replicasOf(partition)
        .some(({ state }) => ['owning', 'following', 'claiming'].includes(state))
      if (!there) return `nobody has p${partition} at ${cluster.world.nowMs} ms`
    }
    return undefined
  }
}

/** Each partition has an owner that lives. */
function alwaysOwned(cluster: FakeCluster): () => string | undefined {
  return () => {
    for (let partition = 0; partition < cluster.partitions; partition++) {
      if (!cluster.owners.has(partition)) return `nobody owns p${partition} at ${cluster.world.nowMs} ms`
    }
    return undefined
  }
}

describe('placement', () => {
  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    it(`members that come and go in any order end with two replicas and one owner of each partition: seed ${seed}`, async () => {
      const cluster = new FakeCluster(16, seed)
      const { random } = cluster.world
      const names = ['a', 'b', 'c', 'd', 'e']
      for (let step = 0; step < 12; step++) {
        const name = random.pick(names)
        if (!cluster.live.has(name)) cluster.start(name)
        else if (random.next() < 0.5) cluster.kill(name)
        else await cluster.stop(name)
        await cluster.advance(random.pick([0, 100, 1_000, 20_000, 90_000]))
      }
      if (cluster.live.size === 0) cluster.start('a')
      await cluster.settles('after members came and went')
      const { moves } = cluster
      const done = [...cluster.live.values()].map(({ started, ended }) => [started, ended])
      await cluster.advance(settledMs)
      assert.equal(cluster.moves, moves, 'then nothing moves any more')
      assert.deepEqual(
        [...cluster.live.values()].map(({ started, ended }) => [started, ended]),
        done,
      )
      await cluster.close()
    })
  }

  it('three started at once share 32 partitions', async () => {
    const cluster = new FakeCluster(32)
    for (const name of ['a', 'b', 'c']) cluster.start(name)
    await cluster.settles('three at once')
    await cluster.close()
  })

  it('a rolling restart: each partition has an owner all the time, and moves back without a gap', async () => {
    for (const seed of [1, 2, 3]) {
      const cluster = new FakeCluster(32, seed)
      for (const name of ['a', 'b', 'c']) cluster.start(name)
      await cluster.settles('three at once')
      cluster.law = alwaysOwned(cluster)
      for (const name of ['a', 'b', 'c']) {
        await cluster.stop(name)
        await cluster.advance(3_000)
        cluster.start(name)
        await cluster.world.clock.advanceUntil(
          () => [...cluster.live.get(name)!.replicas.values()].every(({ state }) => state === 'following'),
          30_000,
        )
        await cluster.advance(5_000)
      }
      await cluster.settles('after the restarts')
      assert.deepEqual(cluster.gaps, [])
      await cluster.close()
    }
  })

  it('a rolling restart by SIGKILL: each partition has a standby that has caught up, or an owner', async () => {
    const cluster = new FakeCluster(32)
    for (const name of ['a', 'b', 'c']) cluster.start(name)
    await cluster.settles('three at once')
    cluster.law = somebodyThere(cluster)
    for (const name of ['a', 'b', 'c']) {
      cluster.kill(name)
      await cluster.advance(1_000)
      cluster.start(name)
      await cluster.settles(`${name} is back`)
    }
    assert.deepEqual(cluster.gaps, [])
    await cluster.close()
  })

  it('a drained instance runs nothing in the end; no partition is without an owner meanwhile, and it gets its part back', async () => {
    const cluster = new FakeCluster(32)
    for (const name of ['a', 'b', 'c']) cluster.start(name)
    await cluster.settles('three at once')
    cluster.law = alwaysOwned(cluster)
    const { placement, replicas } = cluster.live.get('b')!
    placement.drain(true)
    assert.equal(placement.drained, false)
    const beganMs = cluster.world.nowMs
    assert.ok(await cluster.world.clock.advanceUntil(() => placement.drained, 30_000), 'it is drained')
    assert.equal(replicas.size, 0)
    assert.ok(cluster.world.nowMs - beganMs < 15_000, `it took ${cluster.world.nowMs - beganMs} ms`)
    await cluster.settles('without it')
    placement.drain(false)
    await cluster.settles('with it again')
    assert.deepEqual(cluster.gaps, [])
    await cluster.close()
  })

  it('two of three that drain leave all to the third; the last keeps what it has', async () => {
    const cluster = new FakeCluster(8)
    for (const name of ['a', 'b', 'c']) cluster.start(name)
    await cluster.settles('three at once')
    cluster.law = alwaysOwned(cluster)
    for (const name of ['a', 'b']) cluster.live.get(name)!.placement.drain(true)
    await cluster.settles('with one left')
    assert.ok(cluster.live.get('a')!.placement.drained && cluster.live.get('b')!.placement.drained)
    const { placement, replicas } = cluster.live.get('c')!
    placement.drain(true)
    await cluster.advance(settledMs)
    assert.equal(replicas.size, 8)
    assert.match(placement.explain(3).why, /nobody else is there/)
    assert.deepEqual(cluster.gaps, [])
    await cluster.close()
  })

  it('keeps the two replicas in different zones', async () => {
    const cluster = new FakeCluster(16)
    for (const [name, zone] of ['x', 'x', 'y', 'y'].entries()) cluster.start(`i${name}`, zone)
    await cluster.settles('four in two zones')
    const zoneOf = (name: string): boolean => name === 'i0' || name === 'i1'
    for (let partition = 0; partition < 16; partition++) {
      const [first, second] = cluster.replicasOf(partition).map(({ instance }) => zoneOf(instance.name))
      assert.notEqual(first, second)
    }
    await cluster.close()
  })

  it('the store being away changes nothing: nobody starts, ends or moves anything', async () => {
    const cluster = new FakeCluster(16)
    for (const name of ['a', 'b', 'c']) cluster.start(name)
    await cluster.settles('three at once')
    const before = [...cluster.live.values()].map(({ started, ended }) => [started, ended])
    const { moves } = cluster
    cluster.coordination.setAway(true)
    await cluster.advance(600_000)
    assert.deepEqual(
      [...cluster.live.values()].map(({ started, ended }) => [started, ended]),
      before,
    )
    assert.equal(cluster.moves, moves)
    cluster.coordination.setAway(false)
    await cluster.settles('with the store back')
    assert.equal(cluster.moves, moves)
    await cluster.close()
  })

  it('members that flap make nobody start and end replicas in a storm', async () => {
    const cluster = new FakeCluster(16)
    for (const name of ['a', 'b', 'c']) cluster.start(name)
    await cluster.settles('three at once')
    const others = ['a', 'b'].map((name) => cluster.live.get(name)!)
    const before = others.map(({ started }) => started)
    for (let time = 0; time < 20; time++) {
      // Longer than its session, shorter than anybody's patience.
      cluster.live.get('c')!.process.stop()
      await cluster.advance(5_000)
      cluster.live.get('c')!.process.goOn()
      await cluster.advance(5_000)
    }
    const more = others.map(({ started }, at) => started - before[at])
    for (const count of more) assert.ok(count <= 16, `${count} were started in all`)
    assert.ok(others.every(({ ended }) => ended === 0))
    await cluster.settles('when it has stayed')
    await cluster.close()
  })

  it('the death of an owner leaves its partitions to who is next, without a wait of its place in the ranking', async () => {
    const cluster = new FakeCluster(32)
    for (const name of ['a', 'b', 'c']) cluster.start(name)
    await cluster.settles('three at once')
    const lost = [...cluster.owners].filter(([, { instance }]) => instance.name === 'a').map(([partition]) => partition)
    cluster.kill('a')
    const gone = () =>
      cluster.live.get('b')!.port.members().length === 2 && cluster.live.get('c')!.port.members().length === 2
    assert.ok(await cluster.world.clock.advanceUntil(gone, 10_000))
    // What is left is the store's answer and the claim.
    await cluster.advance(200)
    assert.deepEqual(
      lost.filter((partition) => !cluster.owners.has(partition)),
      [],
    )
    await cluster.close()
  })
})
