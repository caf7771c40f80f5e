/** The functions that a set of rules was given: finding them, standing before them, and saying where they were written. */
import { type Runtime, Session } from 'node:inspector'
import { isFold, type RulesDescription, Stream } from '@ricci/engine'
import type { Place } from '../config/excerpt.ts'
import type { SourcePlaces } from './source-places.ts'

/** A function of a user, as it stands in an operator's arguments. */
export type UserFunction = (this: unknown, ...given: unknown[]) => unknown

/** All functions of the users in the order of the tree. Folds are the engine's own. */
export function functionsOf(rules: RulesDescription): UserFunction[] {
  const found: UserFunction[] = []
  replaced(rules, (original) => {
    found.push(original)
    return original
  })
  return found
}

/** The same rules with another function in the place of each. */
export function replaced(
  rules: RulesDescription,
  by: (original: UserFunction, operator: Stream) => UserFunction,
): RulesDescription {
  const argument = (value: unknown, operator: Stream): unknown => {
    if (typeof value === 'function') return by(value as UserFunction, operator)
    if (Array.isArray(value)) return value.map((part) => argument(part, operator))
    if (!isPlain(value)) return value
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, argument(part, operator)]))
  }
  const stream = (given: Stream): Stream =>
    new Stream(
      given.operator,
      given.args.map((value) => argument(value, given)),
      given.children.map(stream),
      given.label,
    )
  return { streams: rules.streams.map(stream) }
}

function isPlain(value: unknown): value is object {
  return (
    typeof value === 'object' && value !== null && !isFold(value) && Object.getPrototypeOf(value) === Object.prototype
  )
}

/** What a function is handed to the inspector by. */
const hook = Symbol.for('ricci.located')

/** Where a function was written, in the users' own files; V8 knows. */
export function placeOfFunction(given: UserFunction, places: SourcePlaces): Place | undefined {
  const session = new Session()
  session.connect()
  const world = globalThis as Record<symbol, unknown>
  world[hook] = given
  try {
    let objectId: string | undefined
    session.post('Runtime.evaluate', { expression: `globalThis[Symbol.for('ricci.located')]` }, (error, answer) => {
      if (error === null) objectId = answer.result.objectId
    })
    let location: { lineNumber: number; columnNumber: number } | undefined
    if (objectId === undefined) return undefined
    session.post('Runtime.getProperties', { objectId, ownProperties: true }, (error, answer) => {
      if (error !== null) return
      const found = internalsOf(answer).find(({ name }) => name === '[[FunctionLocation]]')
      location = found?.value?.value as typeof location
    })
    return location === undefined ? undefined : places.placeAt(location.lineNumber + 1, location.columnNumber + 1)
  } finally {
    delete world[hook]
    session.disconnect()
  }
}

function internalsOf(
  answer: Runtime.GetPropertiesReturnType,
): readonly { name: string; value?: { value?: unknown } | undefined }[] {
  return answer.internalProperties ?? []
}
