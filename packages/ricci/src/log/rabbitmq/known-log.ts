/** Which log an instance was of when it last ran: so that it can start while brokers cannot say. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const fileName = 'log-id'

interface Known {
  readonly id: string
  /** Where it was found: of the log of other brokers, or of another virtual host, nothing is known. */
  readonly at: string
}

/** Hosts and virtual hosts, without passwords, in any order. */
function placeOf(urls: readonly string[]): string {
  const places = urls.map((url) => {
    const { host, pathname } = new URL(url)
    return `${host}${pathname}`
  })
  return places.sort().join(' ')
}

/** The id of the log at these brokers, as this data folder knows it; undefined where it does not. */
export function knownLogId(folder: string, urls: readonly string[]): string | undefined {
  try {
    const { id, at } = JSON.parse(readFileSync(join(folder, fileName), 'utf8')) as Known
    return at === placeOf(urls) ? id : undefined
  } catch {
    // none, or cut short by a crash of the machine: brokers will say
    return undefined
  }
}

/** Keeps it. @throws what the disk throws */
export function keepLogId(folder: string, urls: readonly string[], id: string): void {
  const file = join(folder, fileName)
  writeFileSync(`${file}.new`, `${JSON.stringify({ id, at: placeOf(urls) } satisfies Known)}\n`, { mode: 0o640 })
  renameSync(`${file}.new`, file)
}
