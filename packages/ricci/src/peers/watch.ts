/** Watches of several partitions as one. */
import type { WatchPage } from '../http/backend.ts'
import { asTheyCome } from './as-they-come.ts'

/** Changes of all, as they come; those of one partition in their order. */
export async function* mergedWatch(
  all: readonly AsyncIterable<WatchPage>[],
  onEnd: () => void,
): AsyncGenerator<WatchPage> {
  try {
    yield* asTheyCome(
      all.map((pages) => () => pages),
      all.length,
    )
  } finally {
    onEnd()
  }
}
