/** What rules find under the names of JavaScript's and Node's globals: the engine's own, a sentence, or nothing. */
import { pow } from '@ricci/engine'
import { createUtcDate } from './utc-date.ts'

/**
 * Names and values that stand before the real globals. This is against mistakes, not against intent: rules are their owner's
 * code, and `Function('…')()` still reaches everything.
 *
 * Functions say what to do when called; other things are absent, so that a library's `typeof process` finds out.
 * @param nowMs the engine's calendar time
 */
export function ruleGlobals(nowMs: () => number): ReadonlyMap<string, unknown> {
  const date = createUtcDate(nowMs)
  const math = ruleMath()
  const globals = new Map<string, unknown>([
    ['Date', date],
    ['Math', math],
    ['globalThis', Object.freeze(Object.assign(Object.create(null), { Date: date, Math: math }))],
    [
      'console',
      Object.freeze(Object.fromEntries(consoleWords.map((word) => [word, absent(`console.${word}`, tapInstead)]))),
    ],
  ])
  for (const name of ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask']) {
    globals.set(name, absent(name, 'time passes in records: use stable, throttle or a window'))
  }
  for (const name of ['fetch', 'structuredClone', 'WebSocket']) {
    globals.set(name, absent(name, 'a rule sees events and nothing else of the machine'))
  }
  for (const name of absentNames) globals.set(name, undefined)
  return globals
}

const tapInstead = 'to see what passes, use tap'
const consoleWords = ['log', 'info', 'warn', 'error', 'debug', 'trace', 'dir', 'table']

const absentNames = [
  'process',
  'Buffer',
  'Intl',
  'performance',
  'crypto',
  'navigator',
  'global',
  'WeakRef',
  'FinalizationRegistry',
  'Atomics',
  'SharedArrayBuffer',
  'Worker',
  'MessageChannel',
  'BroadcastChannel',
  'EventSource',
  'XMLHttpRequest',
]

/** JavaScript's Math with a `pow` that is the same everywhere, and without chance. */
function ruleMath(): object {
  const math = Object.create(null) as Record<string, unknown>
  for (const name of Object.getOwnPropertyNames(Math)) math[name] = Math[name as 'abs']
  math.pow = pow
  math.random = absent('Math.random', 'every replica must decide alike; to sample, take a hash of the event’s own text')
  return Object.freeze(math)
}

/** A function that only says why it is not there. */
function absent(name: string, instead: string): () => never {
  return () => {
    throw new Error(`${name} is not there in rules: ${instead}`)
  }
}
