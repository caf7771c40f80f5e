/**
 * An event that tells of every attempt to change it. TypeScript refuses that; rules in JavaScript do it all the same, and what is put on
 * a view of an event is there still when the next one comes.
 */
import type { EventView } from '@ricci/engine'

/** The parts of an event that are objects themselves. */
const parts: readonly (keyof EventView)[] = ['tags', 'attributes']

/**
 * A view of an event that calls back at a write; anything else is given back as it is.
 * @param onWrite told the name of what was to be changed
 */
export function guardedEvent(given: unknown, onWrite: (name: string) => void): unknown {
  if (typeof given !== 'object' || given === null) return given
  if (typeof (given as Partial<EventView>).copy !== 'function') return given
  return new Proxy(given as EventView, {
    get(view, key: keyof EventView) {
      // its own getters know their fields by the view itself
      const value: unknown = Reflect.get(view, key, view)
      if (typeof value === 'function') return (value as () => unknown).bind(view)
      // a copy: a proxy of what is frozen may tell of nothing
      if (!parts.includes(key)) return value
      const copy = Array.isArray(value) ? [...(value as string[])] : { ...(value as object) }
      return new Proxy(
        copy,
        writesTo((name) => onWrite(`${key}.${name}`)),
      )
    },
    ...writesTo(onWrite),
  })
}

function writesTo(onWrite: (name: string) => void): ProxyHandler<object> {
  const refuse = (_target: object, key: string | symbol): false => {
    onWrite(String(key))
    return false
  }
  return { set: refuse, defineProperty: refuse, deleteProperty: refuse }
}
