/** One schedule of faults around real elections, decided by its seed alone, and what is judged of it. */
import { ElectionGroup, type Ablation, type Candidate, type Term } from '@ricci/election'
import { VirtualClock } from '../clock.ts'
import { SeededRandom } from '../random.ts'
import { judge, type Breach, type Happening, type Tally } from './history.ts'
import { SimStore, type SimSession, type Weather } from './sim-store.ts'
import { Process } from './world.ts'

/** A rule that is taken away: one of the election's own, or one that its store must keep. */
export type Missing = Ablation | 'linearizable-reads'

/** What a run is told. */
export interface RunOptions {
  readonly without?: Missing
}

/** What a run showed. */
export interface RunResult {
  readonly seed: number
  readonly breaches: readonly Breach[]
  readonly tally: Tally
  readonly history: readonly Happening[]
}

/** How long there is trouble, and then peace, in ms. */
const troubleMs = 25_000
const peaceMs = 15_000

const calm: Weather = { delayMs: 2, slow: 0, slowMs: 0, lost: 0 }

/** Runs a seed. */
export async function runElection(seed: number, options: RunOptions = {}): Promise<RunResult> {
  return new Run(seed, options).run()
}

/** A member: its process, its group, what works for it. */
interface Member {
  readonly id: string
  readonly process: Process
  readonly group: ElectionGroup
  readonly candidates: readonly Candidate[]
}

class Run {
  readonly #seed: number
  readonly #without: Missing | undefined
  readonly #clock = new VirtualClock()
  readonly #random: SeededRandom
  readonly #history: Happening[] = []
  readonly #store: SimStore
  readonly #names: readonly string[]
  readonly #leaseMs: number
  readonly #detectMs: number
  readonly #members: Member[] = []
  #started = 0
  #peace = false

  constructor(seed: number, { without }: RunOptions) {
    this.#seed = seed
    this.#without = without
    const random = new SeededRandom(seed)
    this.#random = random
    this.#store = new SimStore(this.#clock, random.fork('store'), this.#history)
    this.#store.weather = {
      delayMs: random.between(1, 30),
      slow: random.pick([0, 0.02, 0.05]),
      slowMs: 3000,
      lost: random.pick([0, 0.01, 0.02]),
    }
    this.#store.lockDelayMs = random.pick([0, 0, 0, 400])
    if (without === 'linearizable-reads') this.#store.staleMs = 800
    this.#names = ['a', 'b', 'c'].slice(0, random.pick([1, 1, 2, 3]))
    this.#leaseMs = random.pick([500, 1000, 2000])
    this.#detectMs = random.pick([500, 1500, 3000])
  }

  async run(): Promise<RunResult> {
    const size = this.#random.pick([2, 3, 3, 4])
    for (let i = 0; i < size; i++) this.#start(`m${i}`)
    this.#disturb()
    await this.#clock.advance(troubleMs)
    this.#peace = true
    this.#store.weather = calm
    this.#store.down = false
    await this.#clock.advance(peaceMs)
    const { breaches, tally } = judge(this.#history, this.#leaseMs)
    breaches.push(...this.#judgePeace())
    let open = 0
    for (const { group, process } of this.#members) {
      if (!process.alive) continue
      open++
      void group.close().then(() => open--)
    }
    await this.#clock.advanceUntil(() => open === 0, peaceMs)
    if (open > 0) breaches.push({ invariant: 'I5', text: `${open} members do not end` })
    return { seed: this.#seed, breaches, tally, history: this.#history }
  }

  /** Whether everything has come right. */
  #judgePeace(): Breach[] {
    const alive = this.#members.filter(({ process }) => process.alive)
    const breaches: Breach[] = []
    for (const [at, name] of this.#names.entries()) {
      const leaders = alive.filter(({ candidates }) => candidates[at].isLeader).map(({ id }) => id)
      if (leaders.length !== 1)
        breaches.push({ invariant: 'I5', text: `${name} is led by ${leaders.join(', ') || 'nobody'}` })
    }
    const ids = alive.map(({ id }) => id).sort()
    for (const { id, group } of alive) {
      const seen = group.members.map((member) => member.id)
      if (seen.join() === ids.join()) continue
      breaches.push({ invariant: 'members', text: `${id} sees ${seen.join(', ')}; alive are ${ids.join(', ')}` })
    }
    return breaches
  }

  #start(id: string): void {
    const process = new Process(this.#clock, this.#random.fork(`process ${id} ${++this.#started}`))
    const chance = this.#random.fork(`chance ${id} ${this.#started}`)
    const group = new ElectionGroup({
      name: 'simulated',
      store: this.#store.for(process),
      id,
      // A new setting is rolled out, member by member.
      lease: chance.chance(0.2) ? 2 * this.#leaseMs : this.#leaseMs,
      detect: this.#detectMs,
      clock: process,
      random: () => chance.next(),
      ...(this.#without !== undefined && this.#without !== 'linearizable-reads' && { without: this.#without }),
    })
    const candidates = this.#names.map((name, at) =>
      group.candidate(name, { holdBackMs: chance.pick([0, 0, 50, 50 * at]) }),
    )
    const member = { id, process, group, candidates }
    this.#members.push(member)
    for (const candidate of candidates) {
      this.#observe(member, candidate)
      if (chance.chance(0.5)) candidate.stand()
      else this.#lead(member, candidate, chance)
    }
    this.#act(member, chance)
  }

  #observe({ id }: Member, candidate: Candidate): void {
    const { name } = candidate
    let token = 0n
    const record = (kind: 'elected' | 'resumed' | 'ended'): void =>
      void this.#history.push({ kind, name, token, by: id, atMs: this.#clock.monotonicMs() })
    const began = (kind: 'elected' | 'resumed') => (term: Term) => {
      ;({ token } = term)
      record(kind)
    }
    candidate.on('elected', began('elected')).on('resumed', began('resumed'))
    for (const event of ['suspended', 'deposed', 'resigned'] as const) candidate.on(event, () => record('ended'))
  }

  /** Work that heeds its signal after a while, again and again. */
  #lead({ process, group }: Member, candidate: Candidate, chance: SeededRandom): void {
    const wait = (ms: number): Promise<void> => new Promise((resolve) => void process.setTimer(ms, resolve))
    const work = async (term: Term): Promise<void> => {
      const untilMs = process.monotonicMs() + chance.exponential(20_000)
      while (!term.signal.aborted && (this.#peace || process.monotonicMs() < untilMs)) await wait(100)
      await wait(chance.between(0, 300))
    }
    const again = (): void => {
      const later = (): void => void this.#clock.setTimer(chance.between(0, 500), () => process.run(again))
      candidate.lead(work).then(later, () => group.isClosing || later())
    }
    again()
  }

  /** Acts every 25 ms wherever it leads; sometimes what lies between look and effect takes a moment, in which it may freeze. */
  #act(member: Member, chance: SeededRandom): void {
    const { process, candidates, id } = member
    const turn = (): void => {
      if (member.group.isClosing) return
      for (const candidate of candidates) {
        if (!candidate.isLeader) continue
        const { token } = candidate.term!
        const { name } = candidate
        const effect = (slipped: boolean): void =>
          void this.#history.push({ kind: 'act', name, token, by: id, atMs: this.#clock.monotonicMs(), slipped })
        if (chance.chance(0.05)) process.setTimer(chance.between(1, 40), () => effect(true))
        else effect(false)
        if (chance.chance(0.05)) this.#journal(member, candidate.term!, chance)
      }
      process.setTimer(25, turn)
    }
    process.setTimer(25, turn)
  }

  /** Carries out this second's job, which every leader of the name tries. */
  #journal({ process }: Member, term: Term, chance: SeededRandom): void {
    const { name, token } = term
    const id = `${name} ${Math.floor(this.#clock.monotonicMs() / 1000)}`
    const run = (): Promise<void> =>
      new Promise((resolve) =>
        process.setTimer(chance.between(0, 30), () => {
          this.#history.push({ kind: 'journalled', name, token, id, atMs: this.#clock.monotonicMs() })
          resolve()
        }),
      )
    term.act(id, run, { gate: 'journal' }).catch(() => undefined)
  }

  /** Sets off one trouble after another, each kind at its own intervals. */
  #disturb(): void {
    const lossesMs = this.#random.pick([1500, 4000, 10_000])
    this.#every('loss', lossesMs, (random) => this.#lose(random))
    this.#every('cut', 5000, (random) => this.#worsen(this.#any(random).process, random))
    this.#lieInWait(this.#random.fork('ambush'))
    this.#every('freeze', 3500, (random) => {
      const ms = random.chance(0.5) ? random.between(0, this.#leaseMs * 1.5) : random.between(0, 6000)
      this.#any(random).process.freeze(random.pick(['stopped', 'stopped', 'suspended']), ms)
    })
    this.#every('outage', 9000, (random) => {
      this.#store.down = true
      this.#clock.setTimer(random.between(0, 4000), () => (this.#store.down = false))
    })
    this.#every('end', 8000, (random) => this.#end(this.#any(random), random))
    this.#every('wall', 6000, (random) => this.#any(random).process.shiftWall(random.between(-3000, 3000)))
    this.#every('hand-over', 4000, (random) => this.#handOver(this.#any(random), random))
  }

  /** Calls `what` at random times, `meanMs` apart in the mean, until there is peace. */
  #every(name: string, meanMs: number, what: (random: SeededRandom) => void): void {
    const random = this.#random.fork(name)
    const next = (): void => {
      this.#clock.setTimer(random.exponential(meanMs), () => {
        if (this.#peace) return
        what(random)
        next()
      })
    }
    next()
  }

  #any(random: SeededRandom): Member {
    return random.pick(this.#members.filter(({ process }) => process.alive))
  }

  /** The store takes away a session, or a name, for no reason that a candidate could know. */
  #lose(random: SeededRandom): void {
    const sessions = [...this.#store.sessions]
    if (sessions.length > 0 && random.chance(0.5)) {
      const session = random.pick(sessions)
      return random.chance(0.5) ? this.#loseUnheard(session) : this.#store.end(session)
    }
    const name = random.pick(this.#names)
    const tenure = this.#store.names.get(name)
    if (tenure?.holder === undefined) return
    this.#store.free(name, tenure, { settled: false, leaseMs: tenure.leaseMs })
    this.#store.changed()
  }

  /** A holder whose last confirms are long on their way, and which hears nothing after them, learns of its loss by its own deadline only. */
  #loseUnheard(session: SimSession): void {
    const { process } = session
    process.lagMs = this.#leaseMs
    this.#clock.setTimer(this.#leaseMs, () => {
      process.lagMs = 0
      process.cut = 'both'
      this.#store.end(session)
      this.#clock.setTimer(3 * this.#leaseMs, () => (process.cut = 'none'))
    })
  }

  /** The way to the store is cut, or long, for a while. */
  #worsen(process: Process, random: SeededRandom): void {
    const ms = random.between(0, 3 * this.#leaseMs + 1000)
    if (random.chance(0.6)) process.cut = random.pick(['both', 'answers'])
    else process.lagMs = random.between(0, 1500)
    this.#clock.setTimer(ms, () => {
      process.cut = 'none'
      process.lagMs = 0
    })
  }

  /** Who has just been granted a name gives it up before its predecessor's lease has run out. */
  #lieInWait(random: SeededRandom): void {
    this.#store.onGranted = (name, session) => {
      if (this.#peace || !random.chance(0.3)) return
      const member = this.#members.find(({ process }) => process === session.process)!
      const candidate = member.candidates[this.#names.indexOf(name)]
      this.#clock.setTimer(random.between(0, this.#leaseMs), () =>
        member.process.run(() => {
          if (member.group.isClosing) return
          void candidate.resign().then(() => {
            if (!member.group.isClosing) candidate.stand()
          })
        }),
      )
    }
  }

  /** Kills a member or closes it, and starts it again later. Another is always left. */
  #end({ id, process, group }: Member, random: SeededRandom): void {
    if (this.#members.filter((member) => member.process.alive).length < 2) return
    const again = (): void => this.#start(id)
    if (random.chance(0.6)) {
      process.kill()
      this.#clock.setTimer(random.between(10, 3000), again)
    } else if (!process.frozen && !group.isClosing) {
      void group.close().then(() => {
        if (!process.alive) return
        process.kill()
        again()
      })
    }
  }

  #handOver({ process, candidates, group }: Member, random: SeededRandom): void {
    process.run(() => {
      if (group.isClosing) return
      const candidate = random.pick(candidates)
      const [other] = random.shuffled(group.members)
      const asked = random.chance(0.5) || other === undefined
      const done = asked ? group.requestHandOver(candidate.name) : candidate.handOver(other.id)
      // Refused where there is nothing to hand over.
      done.catch(() => undefined)
    })
  }
}
