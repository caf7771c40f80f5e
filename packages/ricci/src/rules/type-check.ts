/** Checks the types of rules, in a process of its own; see `type-checker.ts`. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Clock, Timer } from '@ricci/replica'
import { atPlace } from '../config/excerpt.ts'
import { RicciError } from '../errors.ts'
import { shownPath } from './bundle.ts'
import type { TypeAnswer, TypeQuestion } from './type-checker.ts'

/** A first check takes a second of CPU; who waits longer than this switches without it. */
const checkLimitMs = 60_000

/** What names the words that rules import stand in: the file of the package, and its source in a clone of the project. */
const declarations = { ricci: 'index', 'ricci/test': 'test' } as const

export interface TypeCheckOptions {
  /** The built `type-checker`. */
  readonly file: URL
  readonly clock: Clock
  /** Whether the process stays for the next check: for who checks at every change of a file. */
  readonly keep?: boolean
}

/** Checks the types of rules, one folder after another. `close` it, or a process that was kept stays. */
export class TypeCheck {
  private child: ChildProcess | undefined
  /** The last check before the next: a process answers one question at a time. */
  private turn: Promise<unknown> = Promise.resolve()

  constructor(private readonly options: TypeCheckOptions) {}

  /**
   * @param folder of the rules
   * @param files where to begin, relative to the folder
   * @returns why nothing could be checked; undefined when everything was, and is right
   * @throws RicciError `RULES_TYPES` with file, line and caret of each error
   */
  check(folder: string, files: readonly string[]): Promise<string | undefined> {
    const checking = this.turn.then(() => this.next(folder, files))
    this.turn = checking.catch(() => undefined)
    return checking
  }

  private async next(folder: string, files: readonly string[]): Promise<string | undefined> {
    const root = resolve(folder)
    const paths = declarationFiles()
    if (paths === undefined) return 'the declarations of ricci are missing; install it again'
    const answer = await this.ask({ folder: root, files, paths })
    if (this.options.keep !== true) await this.close()
    if (!answer.checked) return answer.why
    if (answer.errors.length === 0) return undefined
    const texts = answer.errors.map(({ place, message }) =>
      place === undefined ? message : atPlace({ ...place, file: shownPath(root, place.file) }, message),
    )
    throw new RicciError('RULES_TYPES', texts.join('\n'))
  }

  /** Ends the process, if there is one. */
  async close(): Promise<void> {
    const { child } = this
    this.child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.ref()
    child.channel?.ref()
    const gone = ['exit', ...(child.connected ? ['disconnect'] : [])].map((event) => once(child, event))
    child.kill('SIGKILL')
    await Promise.all(gone)
  }

  private ask(question: TypeQuestion): Promise<TypeAnswer> {
    if (this.child?.connected !== true) {
      this.child = fork(this.options.file, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'], execArgv: [] })
    }
    const { child } = this
    child.ref()
    child.channel?.ref()
    return new Promise<TypeAnswer>((done) => {
      let timer: Timer | undefined = undefined
      const settle = (answer: TypeAnswer): void => {
        timer?.cancel()
        child.off('message', settle).off('error', onError).off('exit', onExit)
        // one that is kept keeps nobody from ending
        child.unref()
        child.channel?.unref()
        done(answer)
      }
      const giveUp = (why: string): void => {
        void this.close()
        settle({ checked: false, why })
      }
      timer = this.options.clock.setTimer(checkLimitMs, () => giveUp(`no answer within ${checkLimitMs / 1000} s`))
      const onError = (error: Error): void => giveUp(error.message)
      const onExit = (): void => giveUp('its process ended')
      child.on('message', settle).on('error', onError).on('exit', onExit)
      child.send(question, (error) => {
        if (error !== null) giveUp(error.message)
      })
    })
  }
}

/** How far up the program's own files are looked for: bundles of tests lie five folders below the clone. */
const maxLevels = 8

/** The declarations of what rules import: those of the installed package, or the sources of the clone this runs in. */
export function declarationFiles(): Record<string, string> | undefined {
  let folder = dirname(fileURLToPath(import.meta.url))
  for (let level = 0; level < maxLevels; level++, folder = dirname(folder)) {
    for (const [place, ending] of [
      ['.', '.d.ts'],
      ['packages/ricci/src', '.ts'],
    ]) {
      const file = (name: string): string => join(folder, place, `${name}${ending}`)
      if (!existsSync(file('index')) || !existsSync(file('test'))) continue
      return Object.fromEntries(Object.entries(declarations).map(([word, name]) => [word, file(name)]))
    }
  }
  return undefined
}
