/**
 * Runs the command of `elect` and sees to it that it ends with the leadership, even if `elect` cannot: a process of its own, told over
 * its IPC channel how long the lease goes on. When it has run out, because `elect` is stopped or starved, or when the channel closes,
 * because `elect` was killed, the command's whole process group is told to end, and killed after the grace.
 */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { systemClock, type Timer } from '../clock.ts'

/** What the guard is told. */
export type GuardOrder =
  | {
      readonly kind: 'run'
      readonly command: string
      readonly args: readonly string[]
      readonly env: NodeJS.ProcessEnv
      readonly graceMs: number
    }
  /** The lease goes on until then, in ms since 1970: an order that was long on its way must not prolong it. */
  | { readonly kind: 'lease'; readonly untilMs: number }
  /** Tell the command to end: with this signal, and after the grace with SIGKILL. */
  | { readonly kind: 'end'; readonly signal: NodeJS.Signals }

/** What the guard tells. */
export type GuardReport =
  | { readonly kind: 'started'; readonly pid: number }
  | { readonly kind: 'failed'; readonly message: string; readonly code: number }
  | { readonly kind: 'ended'; readonly code: number }

/** Exit codes of a shell: not found, found and not to be executed. */
const notFound = 127
const notExecutable = 126

let pid: number | undefined
let graceMs = 0
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
  if (pid === undefined) return leave(0)
  signalGroup(signal)
  // A stopped process takes no other signal than these two.
  signalGroup('SIGCONT')
  killing ??= systemClock.setTimer(graceMs, () => signalGroup('SIGKILL'))
}

function leave(code: number): void {
  lease?.cancel()
  killing?.cancel()
  if (process.connected) process.disconnect()
  process.exitCode = code
}

function run({ command, args, env, graceMs: ms }: GuardOrder & { kind: 'run' }): void {
  graceMs = ms
  const child = spawn(command, args, { stdio: 'inherit', env, detached: true })
  child.on('error', (error: NodeJS.ErrnoException) => {
    const code = error.code === 'ENOENT' ? notFound : notExecutable
    tell({ kind: 'failed', message: `${command} cannot be started: ${error.message}`, code })
    leave(code)
  })
  child.on('spawn', () => {
    pid = child.pid
    tell({ kind: 'started', pid: child.pid! })
  })
  child.on('exit', (code, signal) => {
    // What it started and left behind must not go on without a leader either.
    signalGroup('SIGKILL')
    const ended = code ?? 128 + (signal === null ? 0 : constants.signals[signal])
    tell({ kind: 'ended', code: ended })
    leave(ended)
  })
}

process.on('message', (order: GuardOrder) => {
  if (order.kind === 'run') run(order)
  else if (order.kind === 'end') end(order.signal)
  else {
    lease?.cancel()
    lease = systemClock.setTimer(order.untilMs - systemClock.wallMs(), () => end('SIGTERM'))
  }
})
process.on('disconnect', () => end('SIGTERM'))
// A terminal's Ctrl-C reaches the whole group of `elect`; it is for `elect` to say what follows.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
