import type { Event } from '@ricci/client'
import type { SeededRandom } from '../random.ts'
import { Producer, type Door, type SentMsg } from './producer.ts'
import type { World } from './world.ts'

/** TTL of every event, seconds. Presence is judged by service `alive`. */
export const ttls = { alive: 12, check: 60, load: 30, deploy: 60, noise: 60, grind: 60, burst: 60, stuck: 60 } as const

/** TTL, grace and then some. */
const peaceSilenceMs = 40_000

/**
 * One host's life by script, drawn before it begins: heartbeats with a TTL, a check whose state changes, a load that rises and
 * falls, deploys that people are told of one by one, chatter that is throttled, and spells of silence. Besides, when the nemesis
 * says so: bursts of things that go wrong all at once, and events at which an engine stalls.
 */
export class Host {
  /** From and to, milliseconds: the host sends nothing. */
  readonly silences: { readonly fromMs: number; readonly toMs: number }[] = []
  readonly producer: Producer
  readonly #random: SeededRandom
  readonly #intervalMs: number
  #check = 'ok'
  #load = 0.2
  #nextDeployMs: number
  #nextCheckMs: number
  #nextLoadMs: number
  #over = false
  /** Sends chatter with every beat. */
  readonly #noisy: boolean
  /** Names of what went wrong in a burst; well again at the time given. */
  readonly #bursts = new Map<string, number>()
  readonly #burstEver = new Set<string>()
  /** Something is stuck until then; 0: nothing is. */
  #stuckUntilMs = 0
  #stuckEver = false
  readonly #grinds: number[] = []
  #ground = 0

  constructor(
    readonly world: World,
    readonly name: string,
    readonly partition: number,
    readonly endMs: number,
    doors: readonly Door[],
    onSent: (msg: SentMsg) => void,
    /** Falls silent once more when all trouble is over: somebody must notice. */
    silentInPeace: boolean,
  ) {
    this.#random = world.random.fork(`host/${name}`)
    const random = this.#random
    this.producer = new Producer(world, name, partition, doors, onSent)
    this.#intervalMs = random.between(2_000, 4_000)
    let atMs = random.exponential(120_000)
    while (atMs < endMs) {
      const toMs = Math.min(endMs, atMs + random.between(10_000, 90_000))
      this.silences.push({ fromMs: atMs, toMs })
      atMs = toMs + random.between(20_000, 200_000)
    }
    if (silentInPeace) this.#silence(endMs + 3_000)
    this.#noisy = random.chance(0.3)
    this.#nextDeployMs = random.exponential(20_000)
    this.#nextCheckMs = random.exponential(15_000)
    this.#nextLoadMs = random.exponential(30_000)
  }

  start(): void {
    this.world.after(this.#random.between(0, this.#intervalMs), () => this.#beat())
  }

  #silent(): boolean {
    const now = this.world.nowMs
    return this.silences.some(({ fromMs, toMs }) => now >= fromMs && now < toMs)
  }

  #beat(): void {
    const now = this.world.nowMs
    if (now >= this.endMs) return this.calm()
    this.world.after(this.#intervalMs * this.#random.between(0.9, 1.1), () => this.#beat())
    if (this.#silent()) return
    if (now >= this.#nextCheckMs) {
      this.#check = this.#check === 'ok' ? 'critical' : 'ok'
      this.#nextCheckMs = now + this.#random.exponential(this.#check === 'ok' ? 25_000 : 8_000)
    }
    if (now >= this.#nextLoadMs) {
      this.#load = this.#load > 0.9 ? 0.2 : 0.95
      this.#nextLoadMs = now + this.#random.exponential(25_000)
    }
    const events = [
      this.#event('alive', { ttl: ttls.alive, state: 'ok' }),
      this.#event('check', { ttl: ttls.check, state: this.#check }),
      this.#event('load', { ttl: ttls.load, metric: this.#load }),
    ]
    if (now >= this.#nextDeployMs) {
      this.#nextDeployMs = now + this.#random.exponential(20_000)
      events.push(
        this.#event('deploy', { ttl: ttls.deploy, state: 'done', description: `deploy at ${Math.round(now)}` }),
      )
    }
    if (this.#noisy) events.push(this.#event('noise', { ttl: ttls.noise, description: `at ${Math.round(now)}` }))
    events.push(...this.#grinding())
    if (this.#stuckUntilMs > 0) {
      const isOver = now >= this.#stuckUntilMs
      if (isOver) this.#stuckUntilMs = 0
      events.push(this.#event('stuck', { ttl: ttls.stuck, state: isOver ? 'ok' : 'bad' }))
      this.#stuckEver = true
    }
    this.producer.send(events)
    this.#calmBursts(now)
  }

  /** As if it were gone, from now on; gives for how long. */
  fallSilent(): number {
    this.#silence(this.world.nowMs)
    return peaceSilenceMs
  }

  #silence(fromMs: number): void {
    this.silences.push({ fromMs, toMs: fromMs + peaceSilenceMs })
  }

  /** So many things go wrong at once, and are well again after `ms`. */
  burst(count: number, ms: number): void {
    const names = Array.from({ length: count }, (_, i) => `burst ${i}`)
    this.producer.send(names.map((service) => this.#event(service, { ttl: ttls.burst, state: 'bad' })))
    for (const name of names) {
      this.#bursts.set(name, this.world.nowMs + ms)
      this.#burstEver.add(name)
    }
  }

  /** Something gets stuck, and is well again after `ms`. */
  stick(ms: number): void {
    if (this.#stuckUntilMs === 0) this.producer.send([this.#event('stuck', { ttl: ttls.stuck, state: 'bad' })])
    this.#stuckUntilMs = Math.max(this.#stuckUntilMs, this.world.nowMs + ms)
  }

  /** Its check is well, out of turn. */
  mend(): void {
    this.#check = 'ok'
    this.producer.send([this.#event('check', { ttl: ttls.check, state: 'ok' })])
  }

  /** With its next beat it sends an event at which an engine stalls, each with this probability. */
  grind(chance: number): void {
    this.#grinds.push(chance)
  }

  #grinding(): Event[] {
    return this.#grinds
      .splice(0)
      .map((metric) => this.#event('grind', { ttl: ttls.grind, metric, description: `event ${this.#ground++}` }))
  }

  #calmBursts(now: number): void {
    const over = [...this.#bursts].filter(([, untilMs]) => now >= untilMs).map(([service]) => service)
    if (over.length === 0) return
    for (const service of over) this.#bursts.delete(service)
    this.producer.send(over.map((service) => this.#event(service, { ttl: ttls.burst, state: 'ok' })))
  }

  /** An event that people must be told of, out of turn. */
  deploy(description: string): void {
    this.producer.send([this.#event('deploy', { ttl: ttls.deploy, state: 'done', description })])
  }

  /** The script is over: the host is there and well, once every interval, until the run ends. */
  calm(): void {
    if (this.#over) return
    if (!this.#silent()) {
      this.producer.send([
        this.#event('alive', { ttl: ttls.alive, state: 'ok' }),
        this.#event('check', { ttl: ttls.check, state: 'ok' }),
        this.#event('load', { ttl: ttls.load, metric: 0.2 }),
        ...(this.#stuckEver || this.#stuckUntilMs > 0 ? [this.#event('stuck', { ttl: ttls.stuck, state: 'ok' })] : []),
        ...[...this.#burstEver].map((service) => this.#event(service, { ttl: ttls.burst, state: 'ok' })),
      ])
    }
    this.world.after(this.#intervalMs, () => this.calm())
  }

  /** Nothing comes from it any more. */
  end(): void {
    this.#over = true
  }

  #event(service: string, rest: Omit<Event, 'host' | 'service' | 'time'>): Event {
    return { host: this.name, service, time: Math.floor(this.world.clock.wallMs()) / 1_000, ...rest }
  }
}
