import { ElectionError, hasCode, StaleTermError } from './errors.ts'
import { actionIdOf, oneOf } from './options.ts'
import type { JournalEntry } from './store.ts'

/**
 * How sure an action is to be the only one:
 *
 * - `lease`: a look at the clock. Costs nothing; a process that freezes between the look and the effect lets one action slip.
 * - `confirm`: a linearizable read first. The same slip, within a shorter time.
 * - `journal`: the intent is written to the store first, in a transaction that only the present holder's can be, and the outcome
 *   afterwards. An action of one id is never begun twice. Only this form holds under freezes.
 */
export type Gate = 'lease' | 'confirm' | 'journal'

/** Every gate there is. */
export const gates: readonly Gate[] = ['lease', 'confirm', 'journal']

/** What becomes of an action whose intent stands in the journal under an earlier term, without its end. */
export type InDoubt =
  /** It fails with `ACT_IN_DOUBT`: rather not at all than twice. */
  | 'fail'
  /** It runs again: rather twice than not at all. For receivers that know a key. */
  | 'repeat'

/** How an action is carried out. */
export interface ActOptions {
  /** The gate; by default the election's. */
  readonly gate?: Gate
  /** With the gate `journal`; by default `fail`. */
  readonly inDoubt?: InDoubt
}

/** The store's journal as a term uses it: under its name, each call bounded in time. */
export interface TermJournal {
  begin(token: bigint, id: string, attempt: string): Promise<JournalEntry>
  finish(id: string, attempt: string): Promise<void>
  withdraw(id: string, attempt: string): Promise<void>
}

/** What a term needs of the candidate that holds it. */
export interface TermHolder {
  readonly gate: Gate
  readonly journal: TermJournal | undefined
  /** Whether the term is the present one and its deadline lies ahead, now. */
  leads(term: Term): boolean
  /** One linearizable read; whether the term goes on is known when it resolves. */
  confirm(): Promise<void>
  /** Runs work: the name is not given up as settled before it ends. */
  work<T>(run: () => Promise<T>): Promise<T>
  /** Gives up leadership, if this term still has it. */
  resign(term: Term): Promise<void>
  /** Tells of trouble that ends nothing. */
  warn(error: ElectionError): void
  /** A text that no other call of this holder is given. */
  attempt(): string
}

/**
 * Uninterrupted leadership under one fencing token. It ends for good when the lease was not confirmed in time, even if it is confirmed
 * later: then another term begins, under the same token.
 *
 * @example
 * await using term = await election.campaign()
 * await term.act('invoice-7', (token) => api.send(invoice, { token }))
 */
export class Term implements AsyncDisposable {
  /** The name that is led. */
  readonly name: string
  /** The fencing token: higher than that of every leader before. What has seen a higher one should refuse this. */
  readonly token: bigint
  /** Aborts when the term ends. Its reason is an ElectionError: `TERM_SUSPENDED`, `TERM_DEPOSED` or `TERM_RESIGNED`. */
  readonly signal: AbortSignal
  readonly #holder: TermHolder
  readonly #end: AbortController

  /** @internal */
  constructor(name: string, token: bigint, holder: TermHolder, end: AbortController) {
    this.name = name
    this.token = token
    this.#holder = holder
    this.#end = end
    this.signal = end.signal
  }

  /** Whether we lead under this term: computed at the moment it is asked. */
  get leads(): boolean {
    return this.#holder.leads(this)
  }

  /** @throws StaleTermError when we do not lead under this term any more */
  assert(): void {
    if (!this.leads) throw new StaleTermError(this.token)
  }

  /**
   * Carries out one action behind a gate and gives what `run` gives. Until it has ended the name is not handed on as settled.
   * @param id names the action, in 1 to 2048 bytes; with the gate `journal` it is carried out at most once, by whomever
   * @param run gets the fencing token, to be sent along to what can check it, and the term's signal
   * @throws StaleTermError before `run` was called, when the gate is shut
   * @throws ElectionError `ACT_DONE`, `ACT_IN_DOUBT`, `NO_JOURNAL`, `OPTION_INVALID`, `STORE_UNAVAILABLE`: `run` was not called. Whatever `run` throws
   */
  act<T>(
    id: string,
    run: (token: bigint, signal: AbortSignal) => T | Promise<T>,
    options: ActOptions = {},
  ): Promise<T> {
    return this.#holder.work(() => this.#act(id, run, options))
  }

  async #act<T>(
    id: string,
    run: (token: bigint, signal: AbortSignal) => T | Promise<T>,
    options: ActOptions,
  ): Promise<T> {
    const gate = oneOf(options.gate ?? this.#holder.gate, gates, 'gate')
    actionIdOf(id)
    this.assert()
    if (gate === 'journal') return this.#journalled(id, run, options.inDoubt ?? 'fail')
    if (gate === 'confirm') {
      await this.#asked(this.#holder.confirm())
      this.assert()
    }
    return run(this.token, this.signal)
  }

  async #journalled<T>(
    id: string,
    run: (token: bigint, signal: AbortSignal) => T | Promise<T>,
    inDoubt: InDoubt,
  ): Promise<T> {
    const journal = this.#holder.journal
    if (journal === undefined) {
      throw new ElectionError('NO_JOURNAL', 'this store keeps no journal; use the gate "confirm" or "lease"', false)
    }
    const attempt = this.#holder.attempt()
    const entry = await this.#asked(journal.begin(this.token, id, attempt)).catch(async (error: unknown) => {
      // It may have been written all the same, and nothing was done.
      await journal.withdraw(id, attempt).catch(() => undefined)
      throw error
    })
    if (entry.kind === 'stale') throw new StaleTermError(this.token)
    if (entry.kind === 'exists' && entry.done) {
      throw new ElectionError('ACT_DONE', `${id} was done before, under token ${entry.token}`, false)
    }
    if (entry.kind === 'exists' && inDoubt !== 'repeat') {
      const said = `${id} was begun under token ${entry.token} and never ended; nobody knows whether it took effect`
      throw new ElectionError(
        'ACT_IN_DOUBT',
        `${said}. Look, or act with inDoubt: 'repeat' where a repeat does no harm`,
        false,
      )
    }
    if (!this.leads) {
      // Where that cannot be taken back, it stays in doubt.
      await journal.withdraw(id, attempt).catch(() => undefined)
      throw new StaleTermError(this.token)
    }
    const result = await run(this.token, this.signal)
    // Done is done, whoever leads by now. What cannot be written stays in doubt for whoever asks.
    await journal.finish(id, entry.kind === 'exists' ? entry.attempt : attempt).catch((cause: unknown) => {
      const said = `${id} was done, and that could not be noted in the journal: it stays in doubt`
      this.#holder.warn(new ElectionError('ACT_IN_DOUBT', said, false, { cause }))
    })
    return result
  }

  /** An answer of the store's; a term that has ended meanwhile is stale, whatever went wrong because of that. */
  async #asked<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer
    } catch (cause) {
      if (this.leads && !hasCode(cause, 'SESSION_LOST')) throw cause
      throw new StaleTermError(this.token, undefined, { cause })
    }
  }

  /** @internal Ends the term. */
  end(reason: ElectionError): void {
    this.#end.abort(reason)
  }

  /** Gives up leadership and resolves once another may have it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#holder.resign(this)
  }
}

/** Whether an error says that leadership under this token has ended. */
export function isStale(error: unknown, token: bigint): boolean {
  return error instanceof StaleTermError && error.token === token
}

/** Whether an error only says that the term has ended. */
export function isEnd(error: unknown, signal: AbortSignal): boolean {
  return (
    error === signal.reason || hasCode(error, 'STALE_TERM') || (error instanceof Error && error.name === 'AbortError')
  )
}
