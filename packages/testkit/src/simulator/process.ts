import type { Clock, Timer } from '@ricci/replica'
import type { World } from './world.ts'

/**
 * One operating system process: what runs in it sees the world only through here.
 *
 * - `running`: timers fire and messages arrive.
 * - `stopped` (SIGSTOP, or a machine suspended): nothing runs. Clocks go on (suspended: the monotonic one stands still), what
 *   falls due or arrives waits, and comes in order when the process goes on.
 * - `dead` (SIGKILL): nothing runs ever again. A restart is a new process.
 */
export class Process {
  #state: 'running' | 'stopped' | 'dead' = 'running'
  readonly #waiting: (() => void)[] = []
  readonly clock: ProcessClock

  constructor(
    readonly world: World,
    readonly name: string,
    machine: MachineClock,
  ) {
    this.clock = new ProcessClock(this, machine)
  }

  get alive(): boolean {
    return this.#state !== 'dead'
  }

  get running(): boolean {
    return this.#state === 'running'
  }

  /** Runs what came from outside: now, after the stop, or never. */
  deliver(callback: () => void): void {
    if (this.#state === 'running') callback()
    else if (this.#state === 'stopped') this.#waiting.push(callback)
  }

  /** Something from outside arrives in `delayMs` of the world's time. */
  deliverAfter(delayMs: number, callback: () => void): void {
    this.world.after(delayMs, () => this.deliver(callback))
  }

  stop(): void {
    if (this.#state === 'running') this.#state = 'stopped'
  }

  goOn(): void {
    if (this.#state !== 'stopped') return
    this.#state = 'running'
    // Each in a step of its own, as in a real event loop: promises settle between two of them.
    for (const callback of this.#waiting.splice(0)) this.world.after(0, () => this.deliver(callback))
  }

  kill(): void {
    this.#state = 'dead'
    this.#waiting.length = 0
  }
}

/**
 * A machine's clocks: both drift against the world's, the wall clock is set wrong and can be set anew, the monotonic one
 * stands still while the machine is suspended.
 */
export class MachineClock {
  #suspendedMs = 0
  #suspendedSince: number | undefined

  constructor(
    private readonly world: World,
    /** Seconds of this machine per second of the world. */
    private readonly rate: number,
    private wallErrorMs: number,
  ) {}

  monotonicMs(): number {
    const until = this.#suspendedSince ?? this.world.nowMs
    return (until - this.#suspendedMs) * this.rate
  }

  wallMs(): number {
    return Math.round(this.world.clock.wallMs() + this.world.nowMs * (this.rate - 1) + this.wallErrorMs)
  }

  /** The world's time that passes while this machine counts `ms`. */
  worldMs(ms: number): number {
    return ms / this.rate
  }

  jumpWall(ms: number): void {
    this.wallErrorMs += ms
  }

  /** Sets the wall clock right to within `errorMs`. */
  setWall(errorMs: number): void {
    this.wallErrorMs = errorMs - this.world.nowMs * (this.rate - 1)
  }

  suspend(): void {
    this.#suspendedSince ??= this.world.nowMs
  }

  wake(): void {
    if (this.#suspendedSince === undefined) return
    this.#suspendedMs += this.world.nowMs - this.#suspendedSince
    this.#suspendedSince = undefined
  }
}

/**
 * No timer is shorter (Node's are a millisecond at least): whoever waits for the last 10^-13 ms of a deadline, lost in rounding
 * between two clocks, would else ask again for ever at the same moment.
 */
const shortestTimerMs = 0.01

/** The clock port of what runs in a process. */
class ProcessClock implements Clock {
  constructor(
    private readonly process: Process,
    private readonly machine: MachineClock,
  ) {}

  monotonicMs(): number {
    return this.machine.monotonicMs()
  }

  wallMs(): number {
    return this.machine.wallMs()
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const { process, machine } = this
    const dueMs = machine.monotonicMs() + Math.max(shortestTimerMs, delayMs)
    let pending: Timer | undefined
    let live = true
    const arm = (): void => {
      pending = process.world.clock.setTimer(
        machine.worldMs(Math.max(shortestTimerMs, dueMs - machine.monotonicMs())),
        () => process.deliver(fire),
      )
    }
    const fire = (): void => {
      if (!live) return
      // After a suspension the machine's clock is behind the world's: the rest is still to wait.
      if (machine.monotonicMs() < dueMs) return arm()
      live = false
      callback()
    }
    if (process.alive) arm()
    return {
      cancel: () => {
        live = false
        pending?.cancel()
      },
    }
  }
}
