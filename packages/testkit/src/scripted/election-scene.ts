import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ElectionGroup,
  type Candidate,
  type ElectionError,
  type ElectionErrorCode,
  type GroupOptions,
  type Timer,
} from '@ricci/election'
import { VirtualClock } from '../clock.ts'
import { ScriptedElectionStore, type ScriptedElectionOptions } from './election-store.ts'

/** The lease and the detection time of every group in a scene, in ms. */
export const sceneLeaseMs = 1000

/** Longer than anything that is given up: the grace, and two leases of the store's silence. */
const patienceMs = 10_000

/** A virtual clock that counts who keeps the process alive. */
class SceneClock extends VirtualClock {
  holds = 0

  hold(): Timer {
    this.holds++
    let held = true
    return {
      cancel: () => {
        if (held) this.holds--
        held = false
      },
    }
  }
}

/** How a promise stands. */
interface Watched<T> {
  settled: boolean
  value?: T
  error?: unknown
}

/** One test's scripted store, virtual time, and groups: closed at its end, when nothing may be left open. */
export class ElectionScene {
  readonly clock = new SceneClock()
  readonly store: ScriptedElectionStore
  readonly groups: ElectionGroup[] = []
  /** The codes of every group's warnings. */
  readonly warnings: ElectionErrorCode[] = []
  readonly exits: number[] = []

  constructor(options: ScriptedElectionOptions = {}) {
    this.store = new ScriptedElectionStore(options)
  }

  group(id: string, options: Partial<GroupOptions> = {}): ElectionGroup {
    const { clock, store } = this
    const pace = { lease: sceneLeaseMs, detect: sceneLeaseMs, grace: sceneLeaseMs }
    const exit = (code: number): void => void this.exits.push(code)
    const group = new ElectionGroup({ name: 'scene', id, store, clock, random: () => 0.5, exit, ...pace, ...options })
    group.on('warning', ({ code }) => this.warnings.push(code))
    this.groups.push(group)
    return group
  }

  candidate(id: string, options: Partial<GroupOptions> = {}): Candidate {
    return this.group(id, options).candidate('x')
  }

  /** A candidate that leads. */
  async leader(id: string, options: Partial<GroupOptions> = {}): Promise<Candidate> {
    const candidate = this.candidate(id, options)
    candidate.stand()
    await this.until(() => candidate.isLeader)
    return candidate
  }

  settle(): Promise<void> {
    return this.clock.settle()
  }

  advance(ms: number): Promise<void> {
    return this.clock.advance(ms)
  }

  /** Time passes until something holds. */
  async until(holds: () => boolean, limitMs = patienceMs): Promise<void> {
    assert.ok(await this.clock.advanceUntil(holds, limitMs), `within ${limitMs} ms: ${holds.toString()}`)
  }

  /** What a promise gives, time passing meanwhile. */
  async finish<T>(promise: Promise<T>, limitMs = patienceMs): Promise<T> {
    const watched = watch(promise)
    await this.until(() => watched.settled, limitMs)
    return promise
  }

  /** Closes everything; then no timer, no session and nothing that keeps a process alive may be left. */
  async close(): Promise<void> {
    this.store.away(false)
    this.store.pass()
    await this.finish(Promise.all(this.groups.map((group) => group.close())))
    await this.settle()
    this.assertNothingOpen()
  }

  assertNothingOpen(): void {
    const open = this.store.sessions.filter(({ ended }) => !ended).map(({ id }) => id)
    assert.deepEqual(
      { timers: this.clock.pendingTimers, holds: this.clock.holds, open },
      { timers: 0, holds: 0, open: [] },
    )
  }
}

/** How a promise stands, without waiting for it. */
export function watch<T>(promise: Promise<T>): Watched<T> {
  const watched: Watched<T> = { settled: false }
  promise.then(
    (value) => Object.assign(watched, { settled: true, value }),
    (error: unknown) => Object.assign(watched, { settled: true, error }),
  )
  return watched
}

/** A test in a scene of its own, closed at its end. */
export function electionScene(
  what: string,
  run: (scene: ElectionScene) => Promise<void>,
  options?: ScriptedElectionOptions,
): void {
  test(what, async () => {
    const scene = new ElectionScene(options)
    await run(scene)
    await scene.close()
  })
}

/** What a candidate tells, in order: a word for each event. */
export function recorded(candidate: Candidate): string[] {
  const said: string[] = []
  for (const event of ['elected', 'resumed'] as const) candidate.on(event, () => said.push(event))
  for (const event of ['suspended', 'deposed', 'resigned'] as const) {
    candidate.on(event, (reason: ElectionError) => said.push(`${event} ${reason.code}`))
  }
  candidate.on('leader', (leader) => said.push(`leader ${leader?.id ?? 'nobody'}`))
  candidate.on('state', ({ role }) => said.push(`state ${role}`))
  return said
}
