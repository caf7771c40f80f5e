/** `elect … -- command`: runs a command while we lead. */
import { fork, type ChildProcess } from 'node:child_process'
import { constants } from 'node:os'
import type { Clock, Timer } from '../clock.ts'
import type { Election } from '../election.ts'
import type { Term } from '../term.ts'
import type { GuardOrder, GuardReport } from './guard.ts'

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

/**
 * Campaigns, runs the command in each term, and resolves with its exit code once it has ended by itself; or, when `stop` aborts, once it was told to end
 * and the name was given up. Whoever loses leadership ends the command and campaigns again.
 */
export async function runWhileLeading(election: Election, options: CommandOptions, stop: AbortSignal): Promise<number> {
  let code = 0
  let ran = false
  const work = async (term: Term): Promise<void> => {
    options.say(`leads under token ${term.token}: starting ${options.command}`)
    code = await new GuardedCommand(election, term, options, stop).done
    ran = true
    options.say(`${options.command} has ended with exit code ${code}`)
  }
  try {
    await election.lead(work, { signal: stop })
  } catch (error) {
    if (!stop.aborted) throw error
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

/** One run of the command, under one term. */
class GuardedCommand {
  /** Resolves with the exit code, once all of it has ended. */
  readonly done: Promise<number>
  readonly #guard: ChildProcess
  readonly #options: CommandOptions
  #pid: number | undefined

  constructor(election: Election, term: Term, options: CommandOptions, stop: AbortSignal) {
    this.#options = options
    const { command, args, graceMs, env, clock } = options
    this.#guard = fork(options.guard, { stdio: 'inherit', execArgv: [] })
    const own = { ELECT_TOKEN: String(term.token), ELECT_NAME: election.group.name, ELECT_ID: election.group.id }
    const prolong = (): void => {
      const forMs = election.leadsForMs
      if (forMs > 0) this.#order({ kind: 'lease', untilMs: clock.wallMs() + forMs })
    }
    prolong()
    this.#order({ kind: 'run', command, args, env: { ...env, ...own }, graceMs })
    const everyMs = election.group.self.leaseMs / tellsPerLease
    const tick = (): Timer =>
      clock.setTimer(everyMs, () => {
        prolong()
        timer = tick()
      })
    let timer = tick()
    const end = (): void => {
      timer.cancel()
      const asked = stop.aborted ? (stop.reason as NodeJS.Signals) : 'SIGTERM'
      options.say(`${command} is told to end: ${String((term.signal.reason as Error).message)}`)
      this.#order({ kind: 'end', signal: asked })
    }
    if (term.signal.aborted) end()
    else term.signal.addEventListener('abort', end)
    this.done = this.#wait().finally(() => {
      timer.cancel()
      term.signal.removeEventListener('abort', end)
    })
  }

  #order(order: GuardOrder): void {
    // A guard that has ended meanwhile, while we stood still, reports it by its end.
    if (this.#guard.connected) this.#guard.send(order, () => undefined)
  }

  #wait(): Promise<number> {
    return new Promise((resolve, reject) => {
      let code: number | undefined
      this.#guard.on('message', (report: GuardReport) => {
        if (report.kind === 'started') this.#pid = report.pid
        else {
          code = report.code
          if (report.kind === 'failed') this.#options.say(report.message)
        }
      })
      this.#guard.on('error', reject)
      this.#guard.on('exit', (guardCode, signal) => {
        // The guard itself was killed: nobody else ends what it ran.
        if (code === undefined) this.#killGroup()
        resolve(code ?? guardCode ?? 128 + (signal === null ? 0 : constants.signals[signal]))
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
