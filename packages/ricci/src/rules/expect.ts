import { inspect, isDeepStrictEqual } from 'node:util'

/**
 * Throws unless a value is as expected. Of an object only the fields that are named count, at any depth; lists have the same length;
 * all else is equal.
 * @example expect(run.pages, [{ rule: 'critical', host: 'kitchen' }])
 */
export function expect(actual: unknown, expected: unknown): void {
  const where = difference(actual, expected, '')
  if (where === undefined) return
  throw new Error(`expected ${shown(expected)}, got ${shown(actual)}${where === '' ? '' : `; they differ at ${where}`}`)
}

/** Where two values differ, as `[0].rule`; undefined where they do not. */
function difference(actual: unknown, expected: unknown, path: string): string | undefined {
  if (Array.isArray(expected) && Array.isArray(actual)) {
    for (let i = 0; i < Math.max(expected.length, actual.length); i++) {
      if (i >= expected.length || i >= actual.length) return `${path}[${i}]`
      const inside = difference(actual[i], expected[i], `${path}[${i}]`)
      if (inside !== undefined) return inside
    }
    return undefined
  }
  if (isObject(expected) && isObject(actual)) {
    for (const [name, value] of Object.entries(expected)) {
      const inside = difference(actual[name], value, path === '' ? name : `${path}.${name}`)
      if (inside !== undefined) return inside
    }
    return undefined
  }
  return isDeepStrictEqual(actual, expected) ? undefined : path
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function shown(value: unknown): string {
  return inspect(value, { depth: 6, breakLength: 100, sorted: false })
}
