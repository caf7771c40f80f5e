/** `elect … -- command`: runs a command while we lead. */
import { fork, type ChildProcess } from 'node:child_process'
import { constants } from 'node:os'
import type { Clock, Timer } from '../clock.ts'
import type { Election } from '../election.ts'
import type { Term } from '../term.ts'
import type { GuardOrder, GuardReport, Lasting } from './guard.ts'

/** How a command is run. */
export interface CommandOptions {
  readonly command: string
  readonly args: readonly string[]
  /** How long it may take to end once it was told to, in ms. */
  readonly graceMs: number
  /** The guard's file. */
  readonly guard: URL
  readonly env: NodeJS.ProcessEnv
  readonly clock: Clock
  /** Tells people what happens. */
  readonly say: (line: string) => void
}

/** How often the guard is told how long the lease goes on: a part of the lease. */
const tellsPerLease = 4

/** How long after the grace the guard has to have killed the command, in ms: then we do. It may stand still itself. */
const guardsChanceMs = 1000

/**
 * Campaigns, runs the command in each term, and resolves with its exit code once it has ended by itself; or, when `stop` aborts, once it was told to end
 * and the name was given up. Whoever loses leadership ends the command and campaigns again.
 */
export async function runWhileLeading(election: Election, options: CommandOptions, stop: AbortSignal): Promise<number> {
  let code = 0
  let ran = false
  const finished = new AbortController()
  const work = async (term: Term): Promise<void> => {
    for (let asked = true; asked && !term.signal.aborted;) {
      options.say(`leads under token ${term.token}: starting ${options.command}`)
      ;({ code, asked } = await new GuardedCommand(election, term, options, stop).done)
      ran = true
      options.say(`${options.command} has ended with exit code ${code}`)
      // Also where the term ends meanwhile: it is not to run again.
      if (!asked) finished.abort()
    }
  }
  try {
    await election.lead(work, { signal: AbortSignal.any([stop, finished.signal]) })
  } catch (error) {
    if (!stop.aborted && !finished.signal.aborted) throw error
    if (!ran) return signalCode(stop)
  } finally {
    await election.close()
  }
  return code
}

/** 128 and the number of the signal that stopped us, as a shell says it. */
function signalCode(stop: AbortSignal): number {
  const number = constants.signals[stop.reason as NodeJS.Signals]
  return number === undefined ? 0 : 128 + number
}

/** How a run has ended. */
interface Outcome {
  readonly code: number
  /** It was told to end, because leadership had ended, or was not started any more. */
  readonly asked: boolean
}

/** One run of the command, under one term. */
class GuardedCommand {
  /** Resolves once all of it has ended. */
  readonly done: Promise<Outcome>
  readonly #guard: ChildProcess
  readonly #options: CommandOptions
  #pid: number | undefined
  #endAsked = false

  constructor(election: Election, term: Term, options: CommandOptions, stop: AbortSignal) {
    this.#options = options
    const { command, args, graceMs, env, clock } = options
    this.#guard = fork(options.guard, { stdio: 'inherit', execArgv: [] })
    const own = { ELECT_TOKEN: String(term.token), ELECT_NAME: election.group.name, ELECT_ID: election.group.id }
    const lasting = (): Lasting => {
      const forMs = election.leadsForMs
      return { untilMs: clock.wallMs() + forMs, forMs }
    }
    const run = (): void => {
      if (!this.#endAsked) this.#order({ kind: 'run', command, args, env: { ...env, ...own }, graceMs, ...lasting() })
    }
    const prolong = (): void => {
      const more = lasting()
      if (more.forMs > 0) this.#order({ kind: 'lease', ...more })
    }
    const everyMs = election.group.self.leaseMs / tellsPerLease
    const tick = (): Timer =>
      clock.setTimer(everyMs, () => {
        prolong()
        timer = tick()
      })
    let timer = tick()
    const end = (): void => {
      timer.cancel()
      this.#endAsked = true
      const asked = stop.aborted ? (stop.reason as NodeJS.Signals) : 'SIGTERM'
      options.say(`${command} is told to end: ${String((term.signal.reason as Error).message)}`)
      this.#order({ kind: 'end', signal: asked })
      timer = clock.setTimer(graceMs + guardsChanceMs, () => {
        this.#killGroup()
        this.#guard.kill('SIGKILL')
      })
    }
    if (term.signal.aborted) end()
    else term.signal.addEventListener('abort', end)
    this.done = this.#wait(run).finally(() => {
      timer.cancel()
      term.signal.removeEventListener('abort', end)
    })
  }

  #order(order: GuardOrder): void {
    // A guard that has ended meanwhile, while we stood still, reports it by its end.
    if (this.#guard.connected) this.#guard.send(order, () => undefined)
  }

  #wait(run: () => void): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      let outcome: Outcome | undefined
      this.#guard.on('message', (report: GuardReport) => {
        if (report.kind === 'ready') run()
        else if (report.kind === 'started') this.#pid = report.pid
        else {
          outcome = { code: report.code, asked: report.kind === 'ended' && report.asked }
          if (report.kind === 'failed') this.#options.say(report.message)
        }
      })
      this.#guard.on('error', reject)
      this.#guard.on('exit', (guardCode, signal) => {
        // The guard itself was killed: nobody else ends what it ran.
        if (outcome === undefined) this.#killGroup()
        const code = guardCode ?? 128 + (signal === null ? 0 : constants.signals[signal])
        resolve(outcome ?? { code, asked: this.#endAsked })
      })
    })
  }

  #killGroup(): void {
    if (this.#pid === undefined) return
    try {
      process.kill(-this.#pid, 'SIGKILL')
    } catch {
      // It has ended.
    }
  }
}
