/** Throws on a stack of its own, where Node ends the process as for any other mistake of a program. */
export function throwApart(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}

/** What an event's listeners are given, by event. */
type Listener<Value> = (value: Value) => void

/**
 * Typed events, each with one value. A listener that throws breaks neither the others nor who emits: its error is thrown on a
 * stack of its own, where Node ends the process as for any other mistake of a program. No event is special: without a
 * listener nothing happens.
 */
export class Emitter<Events extends object> {
  /** By event, whether each listener is called once only. */
  readonly #listeners = new Map<keyof Events, Map<Listener<never>, boolean>>()

  /** Calls `listener` at each such event. */
  on<Name extends keyof Events>(event: Name, listener: Listener<Events[Name]>): this {
    return this.#add(event, listener, false)
  }

  /** Calls `listener` at the next such event only. */
  once<Name extends keyof Events>(event: Name, listener: Listener<Events[Name]>): this {
    return this.#add(event, listener, true)
  }

  /** Stops calling a listener. */
  off<Name extends keyof Events>(event: Name, listener: Listener<Events[Name]>): this {
    this.#listeners.get(event)?.delete(listener as Listener<never>)
    return this
  }

  /** Calls the listeners of an event. */
  protected emit<Name extends keyof Events>(event: Name, value: Events[Name]): void {
    for (const [listener, once] of [...(this.#listeners.get(event) ?? [])] as [Listener<Events[Name]>, boolean][]) {
      if (once) this.off(event, listener)
      try {
        listener(value)
      } catch (error) {
        throwApart(error)
      }
    }
  }

  #add<Name extends keyof Events>(event: Name, listener: Listener<Events[Name]>, once: boolean): this {
    const listeners = this.#listeners.get(event) ?? new Map<Listener<never>, boolean>()
    this.#listeners.set(event, listeners)
    listeners.set(listener, once)
    return this
  }
}
