import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import type { Clock, Timer } from '@ricci/replica'

export interface Command {
  readonly file: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly timeoutMs: number
}

/** How a command ended. */
export interface Outcome {
  /** `exited`; killed because it took too long or wrote too much; `stopped` with the agent; or it could not be started. */
  readonly end: 'exited' | 'timeout' | 'overflow' | 'stopped' | 'not-started'
  /** Undefined where a signal ended it. */
  readonly exitCode?: number
  readonly signal?: string
  readonly stdout: string
  readonly stderr: string
  /** Why it could not be started. */
  readonly error?: NodeJS.ErrnoException
}

/** Plugins write a line, a list of events some hundred; who writes more has lost its way. */
const maxOutputBytes = 256 * 1024

/** A command that is told to end has so long before it is killed. */
const graceMs = 2_000

/** Whoever a command leaves behind with its output open is waited for so long, and then ended. */
const lingerMs = 1_000

/**
 * Runs a command, without input, in the root folder and in a process group of its own, and waits for its end. When it takes or writes too much the whole group
 * is told to end, and killed a moment later; a process that left the group is no longer ours to find. Never rejects.
 */
export function runCommand(
  { file, args, env, timeoutMs }: Command,
  clock: Clock,
  signal: AbortSignal,
): Promise<Outcome> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve({ end: 'stopped', stdout: '', stderr: '' })
    let child: ChildProcessByStdio<null, Readable, Readable>
    try {
      child = spawn(file, args, { cwd: '/', env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    } catch (error) {
      return resolve({ end: 'not-started', stdout: '', stderr: '', error: error as Error })
    }
    let end: Outcome['end'] = 'exited'
    let error: Error | undefined
    let isDone = false
    let killing: Timer | undefined
    let lingering: Timer | undefined

    const group = (name: NodeJS.Signals): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, name)
      } catch {
        // nobody is left in it
      }
    }
    const kill = (why: Outcome['end']): void => {
      if (killing !== undefined || isDone) return
      end = why
      group('SIGTERM')
      killing = clock.setTimer(graceMs, () => group('SIGKILL'))
    }
    const stop = (): void => kill('stopped')
    const tooLong = clock.setTimer(timeoutMs, () => kill('timeout'))
    signal.addEventListener('abort', stop)

    let bytes = 0
    const collect = (stream: Readable): Buffer[] => {
      const chunks: Buffer[] = []
      stream.on('error', () => undefined)
      stream.on('data', (chunk: Buffer) => {
        if (bytes + chunk.length > maxOutputBytes) return kill('overflow')
        bytes += chunk.length
        chunks.push(chunk)
      })
      return chunks
    }
    const out = collect(child.stdout)
    const err = collect(child.stderr)

    const finish = (): void => {
      if (isDone) return
      isDone = true
      signal.removeEventListener('abort', stop)
      for (const timer of [tooLong, killing, lingering]) timer?.cancel()
      // also those whom it started and who closed their output: a check leaves nobody behind
      group('SIGKILL')
      child.stdout.destroy()
      child.stderr.destroy()
      resolve({
        end,
        stdout: Buffer.concat(out).toString(),
        stderr: Buffer.concat(err).toString(),
        ...(error !== undefined && { error }),
        ...(child.exitCode !== null && { exitCode: child.exitCode }),
        ...(child.signalCode !== null && { signal: child.signalCode }),
      })
    }
    child.on('error', (problem) => {
      end = 'not-started'
      error = problem
      finish()
    })
    child.on('exit', () => (lingering = clock.setTimer(lingerMs, finish)))
    child.on('close', finish)
  })
}
