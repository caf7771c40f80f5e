/** What rules may come by although nothing names it for them: clocks and chance of the machine. Watched, they tell who asked. */
import { performance } from 'node:perf_hooks'

/** The machine's own, by the names that people know them by. */
const sources: readonly [name: string, holder: object, key: string][] = [
  ['Date.now', Date, 'now'],
  ['performance.now', performance, 'now'],
  ['process.hrtime', process, 'hrtime'],
  ['process.uptime', process, 'uptime'],
  ['Math.random', Math, 'random'],
  ['crypto.randomUUID', globalThis.crypto, 'randomUUID'],
  ['crypto.getRandomValues', globalThis.crypto, 'getRandomValues'],
]

/**
 * Stands before the machine's clocks and sources of chance; gives what ends it. Rules have a `Date` and `Math` of the engine's, but
 * `Function('return Date.now()')()`, or the parent class of their `Date`, reaches the real ones.
 * @param onUse told of each use with its name; each answers as ever
 */
export function watchSources(onUse: (name: string) => void): () => void {
  const undo: (() => void)[] = []
  const put = (holder: object, key: string, value: unknown): void => {
    const before = Object.getOwnPropertyDescriptor(holder, key)
    Object.defineProperty(holder, key, {
      value,
      configurable: true,
      writable: true,
      enumerable: before?.enumerable ?? false,
    })
    undo.push(() => {
      if (before === undefined) Reflect.deleteProperty(holder, key)
      else Object.defineProperty(holder, key, before)
    })
  }
  for (const [name, holder, key] of sources) {
    const original = Reflect.get(holder, key) as (...given: unknown[]) => unknown
    const watched = function (...given: unknown[]): unknown {
      onUse(name)
      return original.apply(holder, given)
    }
    put(holder, key, Object.assign(watched, original))
  }
  const real = Date
  put(
    globalThis,
    'Date',
    new Proxy(real, {
      construct(target, given: unknown[], made) {
        if (given.length === 0) onUse('new Date()')
        return Reflect.construct(target, given, made) as object
      },
      apply(target, self, given) {
        onUse('Date()')
        return Reflect.apply(target, self, given) as unknown
      },
    }),
  )
  return () => undo.reverse().forEach((each) => each())
}
