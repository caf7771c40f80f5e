/** A process that holds an engine and nothing else, so that its memory can be looked at. Told what to do by its parent. */
import { closeSync, openSync, readSync } from 'node:fs'
import { index, rules } from '@ricci/engine'
import { residentBytesOf } from './daemon.ts'
import { EngineFeed } from './feed.ts'
import production from './production.rules.ts'

/** Apply a round that lies in a file as messages, each after its length in four bytes; or say how much memory is used. */
export type EngineCommand = { readonly file: string; readonly messages: number } | 'measure'

export interface EngineMemory {
  readonly residentBytes: number
  /** With a snapshot just taken and held. */
  readonly residentWithSnapshotBytes: number
  readonly snapshotBytes: number
  /** JavaScript's heap after a collection. */
  readonly heapBytes: number
  readonly columnBytes: number
  readonly forks: number
  readonly symbols: number
}

const feed = new EngineFeed(process.argv[2] === 'production' ? production : rules(index()))
/** The newest snapshot stays, as a replica's host keeps it until it has been fetched. */
let kept: Uint8Array[] = []

process.on('message', (command: EngineCommand) => {
  if (command === 'measure') process.send!(measure())
  else {
    feed.round(messagesOf(command.file), command.messages)
    process.send!(true)
  }
})

function measure(): EngineMemory {
  const residentBytes = residentBytesOf(process.pid)
  kept = [...feed.engine.snapshot()]
  const residentWithSnapshotBytes = residentBytesOf(process.pid)
  const snapshotBytes = kept.reduce((sum, slice) => sum + slice.length, 0)
  globalThis.gc?.()
  const { bytes, forks, symbols } = feed.engine.stats()
  const heapBytes = process.memoryUsage().heapUsed
  return { residentBytes, residentWithSnapshotBytes, snapshotBytes, heapBytes, columnBytes: bytes, forks, symbols }
}

/** Reads messages one by one into one buffer, as the log's follower does. */
function* messagesOf(path: string): Generator<Uint8Array> {
  const file = openSync(path, 'r')
  let buffer = Buffer.alloc(1 << 20)
  try {
    while (readSync(file, buffer, 0, 4, null) === 4) {
      const length = buffer.readUInt32BE()
      if (length > buffer.length) buffer = Buffer.alloc(length)
      readSync(file, buffer, 0, length, null)
      yield buffer.subarray(0, length)
    }
  } finally {
    closeSync(file)
  }
}
