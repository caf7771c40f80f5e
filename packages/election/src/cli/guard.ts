/**
 * Runs the command of `elect` and sees to it that it ends with the leadership, even if `elect` cannot: a process of its own, told over
 * its IPC channel how long the lease goes on. When it has run out, because `elect` is stopped or starved, or when the channel closes,
 * because `elect` was killed, the command's whole process group is told to end, and killed after the grace.
 */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { systemClock, type Timer } from '../clock.ts'

/** How long the lease goes on. */
export interface Lasting {
  /** Until then, in ms since 1970: an order that was long on its way must not prolong it. */
  readonly untilMs: number
  /** At most for so long, in ms: a wall clock that was set back meanwhile must not prolong it either. */
  readonly forMs: number
}

/** What the guard is told. */
export type GuardOrder =
  /** Start the command, unless the lease has run out by now. */
  | ({
      readonly kind: 'run'
      readonly command: string
      readonly args: readonly string[]
      readonly env: NodeJS.ProcessEnv
      readonly graceMs: number
    } & Lasting)
  | ({ readonly kind: 'lease' } & Lasting)
  /** Tell the command to end: with this signal, and after the grace with SIGKILL. */
  | { readonly kind: 'end'; readonly signal: NodeJS.Signals }

/** What the guard tells. */
export type GuardReport =
  /** It has started: an order to run that had waited for that would find its lease run out on a busy machine. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'started'; readonly pid: number }
  | { readonly kind: 'failed'; readonly message: string; readonly code: number }
  /** `asked`: it had been told to end, or was not started any more. */
  | { readonly kind: 'ended'; readonly code: number; readonly asked: boolean }

/** Exit codes of a shell: not found, found and not to be executed. */
const notFound = 127
const notExecutable = 126

let pid: number | undefined
let graceMs = 0
let ordered = false
let asked = false
let lease: Timer | undefined
let killing: Timer | undefined

function tell(report: GuardReport): void {
  if (process.connected) process.send?.(report)
}

function signalGroup(signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch {
    // All of it has ended.
  }
}

function end(signal: NodeJS.Signals): void {
  lease?.cancel()
  // Where it cannot be started, that is told in a moment, or was.
  if (pid === undefined) return ordered ? undefined : leave(0)
  asked = true
  signalGroup(signal)
  // A stopped process takes no other signal than these two.
  signalGroup('SIGCONT')
  killing ??= systemClock.setTimer(graceMs, () => signalGroup('SIGKILL'))
}

function leave(code: number): void {
  pid = undefined
  lease?.cancel()
  killing?.cancel()
  process.exitCode = code
  // A turn later: Node fails where the channel closes while a message that came with another is handed out.
  systemClock.setTimer(0, () => process.connected && process.disconnect())
}

function leftMs({ untilMs, forMs }: Lasting): number {
  return Math.min(untilMs - systemClock.wallMs(), forMs)
}

function prolong(lasting: Lasting): void {
  lease?.cancel()
  lease = systemClock.setTimer(leftMs(lasting), () => end('SIGTERM'))
}

function run(order: GuardOrder & { kind: 'run' }): void {
  const { command, args, env } = order
  ordered = true
  if (leftMs(order) <= 0) {
    const code = 128 + constants.signals.SIGTERM
    tell({ kind: 'ended', code, asked: true })
    return leave(code)
  }
  ;({ graceMs } = order)
  prolong(order)
  const child = spawn(command, args, { stdio: 'inherit', env, detached: true })
  // At once, not when it is told of: an order to end that came with this one is carried out before.
  ;({ pid } = child)
  child.on('error', (error: NodeJS.ErrnoException) => {
    const code = error.code === 'ENOENT' ? notFound : notExecutable
    tell({ kind: 'failed', message: `${command} cannot be started: ${error.message}`, code })
    leave(code)
  })
  child.on('spawn', () => tell({ kind: 'started', pid: child.pid! }))
  child.on('exit', (code, signal) => {
    // What it started and left behind must not go on without a leader either.
    signalGroup('SIGKILL')
    const ended = code ?? 128 + (signal === null ? 0 : constants.signals[signal])
    tell({ kind: 'ended', code: ended, asked })
    leave(ended)
  })
}

process.on('message', (order: GuardOrder) => {
  if (order.kind === 'run') run(order)
  else if (order.kind === 'end') end(order.signal)
  else if (pid !== undefined && !asked) prolong(order)
})
process.on('disconnect', () => end('SIGTERM'))
tell({ kind: 'ready' })
// A terminal's Ctrl-C reaches the whole group of `elect`; it is for `elect` to say what follows.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
