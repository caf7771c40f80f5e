/** What an event's listeners are given, by event. */
type Listener<Value> = (value: Value) => void

/**
 * Typed events, each with one value. A listener that throws breaks neither the others nor who emits: its error is thrown on a
 * stack of its own, where Node ends the process as for any other mistake of a program. No event is special: without a
 * listener nothing happens.
 */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<Listener<never>>>()

  /** Calls `listener` at each such event. */
  on<Name extends keyof Events>(event: Name, listener: Listener<Events[Name]>): this {
    const listeners = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, listeners)
    listeners.add(listener)
    return this
  }

  /** Calls `listener` at the next such event only. */
  once<Name extends keyof Events>(event: Name, listener: Listener<Events[Name]>): this {
    const first = (value: Events[Name]): void => {
      this.off(event, first)
      listener(value)
    }
    return this.on(event, first)
  }

  /** Stops calling a listener. */
  off<Name extends keyof Events>(event: Name, listener: Listener<Events[Name]>): this {
    this.#listeners.get(event)?.delete(listener as Listener<never>)
    return this
  }

  /** Calls the listeners of an event. */
  protected emit<Name extends keyof Events>(event: Name, value: Events[Name]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])] as Listener<Events[Name]>[]) {
      try {
        listener(value)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
