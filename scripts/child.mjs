// A child that does not outlive who waits for it: ended, with all that it started, where we are told to end or nobody reads us.
import { spawn } from 'node:child_process'
import { constants } from 'node:os'

/** What is still there so long after it was told to end is killed. */
const graceMs = 2000

/**
 * A signal that aborts when this process is told to end or its standard output has no reader any more. Its reason is the exit code,
 * as a shell gives it. From then on neither ends the process by itself.
 */
export function stopSignal() {
  const stop = new AbortController()
  const on = (source, event, name) => source.on(event, () => stop.abort(128 + constants.signals[name]))
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) on(process, name, name)
  on(process.stdout, 'error', 'SIGPIPE')
  return stop.signal
}

/** Runs a command in a process group of its own until it ends, or is ended by the signal; gives its exit code. */
export async function runChild(command, args, stdio, cwd, signal) {
  const child = spawn(command, args, { cwd, stdio, detached: true })
  const kill = (name) => {
    try {
      process.kill(-child.pid, name)
    } catch (error) {
      if (error.code !== 'ESRCH') throw error // all of it has ended
    }
  }
  let timer
  const end = () => {
    kill('SIGTERM')
    timer = setTimeout(kill, graceMs, 'SIGKILL')
  }
  if (signal.aborted) end()
  signal.addEventListener('abort', end)
  const code = await new Promise((resolve, reject) => child.on('close', resolve).on('error', reject))
  signal.removeEventListener('abort', end)
  clearTimeout(timer)
  if (signal.aborted) kill('SIGKILL')
  return code
}
