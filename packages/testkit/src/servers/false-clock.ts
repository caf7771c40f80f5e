/** A wall clock of a process' own, by libfaketime: set apart from the machine's while the process runs. Its timers run on. */
import { renameSync, writeFileSync } from 'node:fs'
import { program } from './program.ts'

export class FalseClock {
  /** @param file where its offset is written: in a folder of the process' own, which whoever made it removes */
  constructor(private readonly file: string) {
    this.set(0)
  }

  /** For the environment of the process. */
  get environment(): Record<string, string> {
    return {
      LD_PRELOAD: program('faketime').file,
      FAKETIME_TIMESTAMP_FILE: this.file,
      // read at each look
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    }
  }

  /** Sets it so far ahead of the machine's (or behind, if negative), at once. Replaced in one step, since the process reads it at any time. */
  set(offsetMs: number): void {
    writeFileSync(`${this.file}.new`, `${offsetMs < 0 ? '-' : '+'}${Math.abs(offsetMs) / 1_000}\n`)
    renameSync(`${this.file}.new`, this.file)
  }
}
