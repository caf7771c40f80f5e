/** How far what waits on the disk was sent, so that the next process goes on there. What it sends twice has the same mark, and counts once as far back as marks are known. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'

/** Parts of a spool that are not sent: from an offset to another, or to the end. */
export type Unsent = readonly (readonly [from: number, to: number | null])[]

interface Kept {
  readonly spool: string
  readonly unsent: Unsent
}

/** Puts what is unsent in the place of what the file said. @throws what the disk throws */
export function keepPlaces(file: string, spool: string, unsent: Unsent): void {
  const temporary = `${file}.new`
  // not synced: after a crash of the machine more is sent twice
  writeFileSync(temporary, `${JSON.stringify({ spool, unsent } satisfies Kept)}\n`, { mode: 0o640 })
  renameSync(temporary, file)
}

/** What an earlier process left unsent; undefined where nothing is known of this spool. */
export function keptPlaces(file: string, spool: string): Unsent | undefined {
  try {
    const kept = JSON.parse(readFileSync(file, 'utf8')) as Kept
    return kept.spool === spool ? kept.unsent : undefined
  } catch {
    // none, or cut short by a crash of the machine: all that is left is sent, some of it again
    return undefined
  }
}
