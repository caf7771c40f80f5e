/**
 * What functions keep outside of themselves, seen by V8's own means: the variables around each, those around the functions among them,
 * and so on. Compared before and after events, it names what a rule keeps, however rarely it acts on it.
 */
import { type Runtime, Session } from 'node:inspector'
import { Stream } from '@ricci/engine'
import type { Place } from '../config/excerpt.ts'
import type { CompiledRules } from './evaluate.ts'
import { ruleGlobals } from './globals.ts'
import { hashOfResult } from './result-hash.ts'
import type { UserFunction } from './user-functions.ts'

/** A variable that changed. */
export interface KeptVariable {
  readonly name: string
  /** Where it is declared, as far as that is found. */
  readonly place?: Place
}

/** Hash by the name of a variable; two functions may have different ones of one name, which then count together. */
export type Variables = ReadonlyMap<string, number>

/** Functions looked into: those of the rules and their helpers; a library's own are left aside beyond this. */
const maxFunctions = 500
/** Objects of one variable that are looked into: what changes first mostly lies near. */
const maxObjects = 2_000

const world = globalThis as Record<symbol, unknown>
const functionsHook = Symbol.for('ricci.functions')
const digestHook = Symbol.for('ricci.digest')

/** What the variables hold that functions see, besides what is given to them. */
export function variablesOf(functions: readonly UserFunction[]): Variables {
  const found = new Map<string, number>()
  const session = new Session()
  session.connect()
  const seen = new Set<unknown>()
  const queue: Runtime.RemoteObjectId[] = []
  world[functionsHook] = functions
  world[digestHook] = (value: unknown) => digestOf(value)
  const call = (objectId: string, declaration: string): Runtime.RemoteObject | undefined => {
    let answer: Runtime.RemoteObject | undefined
    session.post('Runtime.callFunctionOn', { objectId, functionDeclaration: declaration }, (error, given) => {
      if (error === null) answer = given.result
    })
    return answer
  }
  const properties = (objectId: string): Runtime.GetPropertiesReturnType | undefined => {
    let answer: Runtime.GetPropertiesReturnType | undefined
    session.post('Runtime.getProperties', { objectId, ownProperties: true }, (error, given) => {
      if (error === null) answer = given
    })
    return answer
  }
  /** Of an object, its private fields included, which nobody else sees. */
  const digestIn = (objectId: string): number => {
    const digest = call(objectId, `function () { return globalThis[Symbol.for('ricci.digest')](this) }`)
      ?.value as number
    // V8 gives them; the types of Node's inspector do not know it
    const found = properties(objectId) as { privateProperties?: readonly Runtime.PropertyDescriptor[] } | undefined
    const fields = found?.privateProperties ?? []
    return fields.reduce(
      (sum, { name, value }) => Math.imul(sum, 31) + hashOfResult([name, value?.value ?? value?.description]),
      digest,
    )
  }
  try {
    world[seenHook] = seen
    for (let i = 0; i < functions.length; i++) {
      session.post(
        'Runtime.evaluate',
        { expression: `globalThis[Symbol.for('ricci.functions')][${i}]` },
        (error, given) => {
          if (error === null && given.result.objectId !== undefined) queue.push(given.result.objectId)
        },
      )
    }
    const scripts = new Set(queue.map((id) => scriptOf(properties(id))))
    for (let looked = 0; queue.length > 0 && looked < maxFunctions; looked++) {
      const id = queue.shift()!
      const own = properties(id)
      // around those of the engine, and of V8, lies all that is not the rules'
      if (!scripts.has(scriptOf(own))) continue
      const isNew = call(
        id,
        `function () { const seen = globalThis[Symbol.for('ricci.seen')]; if (seen.has(this)) return false; seen.add(this); return true }`,
      )
      if (isNew?.value !== true) continue
      for (const { name, value } of variablesAround(own, properties)) {
        if (value.type === 'function' && value.objectId !== undefined) queue.push(value.objectId)
        const digest =
          value.objectId === undefined
            ? hashOfResult(value.value ?? value.unserializableValue)
            : digestIn(value.objectId)
        found.set(name, Math.imul(found.get(name) ?? 17, 31) + digest)
      }
    }
  } finally {
    for (const hook of [functionsHook, digestHook, seenHook]) delete world[hook]
    session.disconnect()
  }
  for (const [name, hash] of addedToGlobals()) found.set(name, hash)
  return found
}

/** What was put on JavaScript's own objects, where every rule and every evaluation finds it again. */
function* addedToGlobals(): Generator<[name: string, hash: number]> {
  for (const [holder, { name, keys }] of builtIns) {
    for (const key of Reflect.ownKeys(holder)) {
      if (typeof key === 'string' && !keys.has(key)) {
        yield [`${name}.${key}`, digestOf(Object.getOwnPropertyDescriptor(holder, key)?.value)]
      }
    }
  }
}

/** JavaScript's own constructors and prototypes, with what they have by themselves. */
const builtIns = new Map<object, { readonly name: string; readonly keys: ReadonlySet<string | symbol> }>(
  Object.entries({
    Array,
    Boolean,
    Date,
    Error,
    Function,
    JSON,
    Map,
    Math,
    Number,
    Object,
    Promise,
    Reflect,
    RegExp,
    Set,
    String,
    Symbol,
  })
    .flatMap(([name, holder]): [string, object][] => {
      const { prototype } = holder as { prototype?: object }
      return prototype === undefined
        ? [[name, holder]]
        : [
            [name, holder],
            [`${name}.prototype`, prototype],
          ]
    })
    .map(([name, holder]) => [holder, { name, keys: new Set(Reflect.ownKeys(holder)) }]),
)

const seenHook = Symbol.for('ricci.seen')

/** Those of all scopes around a function but the global ones; what was imported from ricci is nobody's variable. */
function* variablesAround(
  of: Runtime.GetPropertiesReturnType | undefined,
  properties: (objectId: string) => Runtime.GetPropertiesReturnType | undefined,
): Generator<{ name: string; value: Runtime.RemoteObject }> {
  const scopes = of?.internalProperties?.find(({ name }) => name === '[[Scopes]]')?.value?.objectId
  if (scopes === undefined) return
  for (const { value: scope } of properties(scopes)?.result ?? []) {
    if (scope?.objectId === undefined || /^(Global|Script)/.test(scope.description ?? '')) continue
    for (const { name, value } of properties(scope.objectId)?.result ?? []) {
      if (value !== undefined && !isOurs(name)) yield { name, value }
    }
  }
}

/** The script that a function was written in; a text that says nothing where V8 does not tell. */
function scriptOf(of: Runtime.GetPropertiesReturnType | undefined): string {
  const location = of?.internalProperties?.find(({ name }) => name === '[[FunctionLocation]]')?.value?.value as
    { scriptId: string } | undefined
  return location?.scriptId ?? ''
}

/** Names that the bundle gives to what it imports and to its own helpers, and those that rules are called with. */
function isOurs(name: string): boolean {
  return /^(import_|__)|_default$/.test(name) || givenNames.has(name)
}

const givenNames = new Set(['exports', 'require', 'module', ...ruleGlobals(() => 0).keys()])

/** Of all that can be reached from a value: plain data, lists, maps, sets, a regular expression's place. */
function digestOf(value: unknown): number {
  const seen = new Set<object>()
  const parts: unknown[] = []
  const queue: unknown[] = [value]
  while (queue.length > 0 && seen.size < maxObjects) {
    const next = queue.shift()
    if ((typeof next !== 'object' && typeof next !== 'function') || next === null) {
      parts.push(typeof next, String(next))
      continue
    }
    if (seen.has(next)) continue
    seen.add(next)
    // what describes rules never changes, and their functions are looked into by themselves
    if (next instanceof Stream) continue
    if (next instanceof RegExp) parts.push(next.lastIndex)
    else if (next instanceof Date) parts.push(next.getTime())
    else if (next instanceof Map) queue.push(next.size, ...[...next].flat())
    else if (next instanceof Set) queue.push(next.size, ...next)
    for (const key of Object.keys(next)) {
      const part = Object.getOwnPropertyDescriptor(next, key)
      if (part !== undefined && 'value' in part) queue.push(key, part.value)
    }
  }
  return hashOfResult(parts)
}

/** Variables that hold something else than before. */
export function changedVariables(before: Variables, after: Variables, rules: CompiledRules): KeptVariable[] {
  const names = [...after].flatMap(([name, hash]) => (before.get(name) === hash ? [] : [name]))
  return names.map((name) => {
    const place = declarationOf(name, rules)
    return place === undefined ? { name } : { name: asWritten(name, place), place }
  })
}

/** Where the bundle declares a name first. */
function declarationOf(name: string, { code, places }: CompiledRules): Place | undefined {
  const escaped = name.replaceAll('$', '\\$')
  const match = new RegExp(`(?:\\b(?:var|let|const|function)\\s+|[,(]\\s*)${escaped}(?![\\w$])`).exec(code)
  if (match === null) return undefined
  const before = code.slice(0, match.index + match[0].length - name.length).split('\n')
  return places.placeAt(before.length, before.at(-1)!.length + 1)
}

/** The bundler numbers names that two files have. */
function asWritten(name: string, { lineText }: Place): string {
  const plain = name.replace(/\d+$/, '')
  return lineText.includes(name) || !lineText.includes(plain) ? name : plain
}
