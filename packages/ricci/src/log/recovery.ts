/** What is done when a log is opened: the segments are listed, the last one is checked whole, and its torn tail cut off. */
import { join } from 'node:path'
import { type Disk, type ReadableFile } from './disk.ts'
import { corruptLog } from './errors.ts'
import {
  encodeSegmentHeader,
  groupHeaderBytes,
  parseSegmentNames,
  readGroupHeader,
  segmentHeaderBytes,
  viewOf,
  type SegmentHeader,
  type SegmentName,
} from './format.ts'
import type { LogEvent } from './events.ts'
import { BadSegment, readSegmentHeader, RecordBatch, SegmentReader } from './segment-reader.ts'

/** A segment on the disk. */
export interface Segment {
  readonly number: number
  readonly firstOffset: number
  readonly path: string
  readonly createdAtMs: number
  bytes: number
}

export interface Recovered {
  /** In log order; the last is the one that is written on. Empty: there is no log yet. */
  readonly segments: Segment[]
  /** Of the last segment: its header, where writing goes on, and the offset the next record gets. */
  readonly last?: { readonly header: SegmentHeader; readonly position: number; readonly end: number }
}

/**
 * Opens what is in the log's directory.
 * @throws ReplicaError `LOG_CORRUPT` where something durable is missing or damaged; nothing has been changed then.
 */
export async function recover(disk: Disk, directory: string, report: (event: LogEvent) => void): Promise<Recovered> {
  const names = parseSegmentNames(disk.list(directory))
  const headers = new Map<number, SegmentHeader>()
  const bytes = new Map<number, number>()
  for (const name of names) {
    const path = join(directory, name.name)
    const file = disk.openForReading(path)
    try {
      bytes.set(name.number, file.size())
      headers.set(name.number, readSegmentHeader(file))
    } catch (error) {
      if (!(error instanceof BadSegment)) throw error
      // A header is durable before the first group is written behind it: alone, it is a segment whose making was cut off.
      if (bytes.get(name.number)! > segmentHeaderBytes) throw corruptLog(path, error.message, error)
    } finally {
      file.close()
    }
  }
  const unmade = names.filter(({ number }) => !headers.has(number))
  const made = names.filter(({ number }) => headers.has(number))
  checkChain(directory, made, headers, bytes)
  const segments = made.map(({ number, firstOffset, name }) => ({
    number,
    firstOffset,
    path: join(directory, name),
    createdAtMs: headers.get(number)!.createdAtMs,
    bytes: bytes.get(number)!,
  }))
  const last = segments.at(-1)
  const whole = last === undefined ? undefined : scan(disk, last, headers.get(last.number)!)
  // From here on things are changed: all checks have passed.
  for (const { name, number } of unmade) {
    await disk.unlink(join(directory, name))
    report({ kind: 'segment-unmade', path: join(directory, name), bytes: bytes.get(number)! })
  }
  // Of a process that was killed the files are all there, but their names may not be on the platters yet.
  await disk.syncDirectory(directory)
  if (last === undefined || whole === undefined) return { segments }
  const header = headers.get(last.number)!
  await settle(disk, last, header, whole, report)
  return { segments, last: { header, position: whole.position, end: whole.end } }
}

/** Each segment names the one before it, and how many bytes of that were durable. */
function checkChain(
  directory: string,
  names: readonly SegmentName[],
  headers: ReadonlyMap<number, SegmentHeader>,
  bytes: ReadonlyMap<number, number>,
): void {
  for (const [index, name] of names.entries()) {
    const header = headers.get(name.number)!
    const path = join(directory, name.name)
    if (header.number !== name.number || header.firstOffset !== name.firstOffset) {
      throw corruptLog(
        path,
        `its header says segment ${header.number} from offset ${header.firstOffset}: it was renamed`,
      )
    }
    if (index === 0) continue
    const before = names[index - 1]
    if (Buffer.compare(headers.get(before.number)!.logId, header.logId) !== 0) {
      throw corruptLog(path, `it belongs to another log than ${before.name}`)
    }
    const previous = names.findIndex(({ number }) => number === header.previousNumber)
    if (previous < 0 && header.firstOffset > names[0].firstOffset) {
      throw corruptLog(path, `segment ${header.previousNumber}, which stood before it, is missing`)
    }
    if (previous >= 0 && bytes.get(header.previousNumber)! < header.previousBytes) {
      throw corruptLog(
        join(directory, names[previous].name),
        `it has ${bytes.get(header.previousNumber)} bytes, ${header.previousBytes} were durable`,
      )
    }
  }
}

interface Whole {
  /** Where the whole groups end, where the last of them starts, and the offset of the next record. */
  readonly position: number
  readonly lastStart: number
  readonly end: number
  /** Why what follows is not whole. */
  readonly torn?: string
}

function scan(disk: Disk, segment: Segment, header: SegmentHeader): Whole {
  const file = disk.openForReading(segment.path)
  const reader = new SegmentReader(file, header)
  const batch = new RecordBatch()
  let torn: string | undefined
  try {
    try {
      while (reader.read(batch, 0, segment.bytes, Infinity) > 0);
    } catch (error) {
      if (!(error instanceof BadSegment)) throw error
      // A later whole group was only written because the damaged one was durable.
      if (laterGroup(file, header, error.position, segment.bytes)) throw corruptLog(segment.path, error.message, error)
      torn = error.message
    }
    return { position: reader.wholeEnd, lastStart: reader.wholeStart, end: reader.wholeOffset, torn }
  } finally {
    file.close()
  }
}

/** Looks for a whole group's header behind a damaged group. */
function laterGroup(file: ReadableFile, header: SegmentHeader, from: number, to: number): boolean {
  const step = 1_048_576
  const buffer = Buffer.alloc(step + groupHeaderBytes)
  const view = viewOf(buffer)
  // The damaged group's own header may be whole: it proves nothing.
  for (let position = from + 1; position < to; position += step) {
    const read = file.read(buffer, 0, buffer.length, position)
    for (let at = buffer.indexOf(header.salt); at >= 0 && at + groupHeaderBytes <= read;) {
      if (readGroupHeader(buffer, view, at, header.salt) !== undefined) return true
      at = buffer.indexOf(header.salt, at + 1)
    }
  }
  return false
}

/**
 * Cuts off a torn tail and makes header and last group durable for certain. They are written once more in place: after an fdatasync that
 * failed the kernel takes its pages for clean, and syncing them again would say nothing.
 */
async function settle(
  disk: Disk,
  segment: Segment,
  header: SegmentHeader,
  whole: Whole,
  report: (event: LogEvent) => void,
): Promise<void> {
  const reader = disk.openForReading(segment.path)
  const group = new Uint8Array(whole.position - whole.lastStart)
  try {
    let read = 0
    while (read < group.length) {
      const more = reader.read(group, read, group.length - read, whole.lastStart + read)
      if (more === 0) throw new Error(`${segment.path} became shorter while it was being opened`)
      read += more
    }
  } finally {
    reader.close()
  }
  const file = await disk.openForWriting(segment.path)
  try {
    if (segment.bytes > whole.position) await file.truncate(whole.position)
    await file.write([encodeSegmentHeader(header)], 0)
    if (group.length > 0) await file.write([group], whole.lastStart)
    await file.datasync()
  } finally {
    await file.close()
  }
  if (segment.bytes > whole.position) {
    const { path, bytes } = segment
    report({ kind: 'tail-repaired', path, bytes: bytes - whole.position, end: whole.end, why: whole.torn! })
  }
  segment.bytes = whole.position
}
