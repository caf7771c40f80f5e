/** Items by a key, the least first; each is in it at most once and can be taken out from anywhere. Everything costs log n. */
export class Heap<T> {
  readonly #keyOf: (item: T) => number
  readonly #items: T[] = []
  readonly #places = new Map<T, number>()

  /** @param keyOf must not change for an item that is in it */
  constructor(keyOf: (item: T) => number) {
    this.#keyOf = keyOf
  }

  get size(): number {
    return this.#items.length
  }

  /** The least; undefined where there is none. */
  first(): T | undefined {
    return this.#items[0]
  }

  /** Does nothing where the item is in it already. */
  add(item: T): void {
    if (this.#places.has(item)) return
    this.#items.push(item)
    this.#places.set(item, this.#items.length - 1)
    this.#rise(this.#items.length - 1)
  }

  /** Does nothing where the item is not in it. */
  delete(item: T): void {
    const place = this.#places.get(item)
    if (place === undefined) return
    this.#places.delete(item)
    const last = this.#items.pop()!
    if (last === item) return
    this.#put(place, last)
    this.#rise(place)
    this.#sink(this.#places.get(last)!)
  }

  #put(place: number, item: T): void {
    this.#items[place] = item
    this.#places.set(item, place)
  }

  #less(a: number, b: number): boolean {
    return this.#keyOf(this.#items[a]) < this.#keyOf(this.#items[b])
  }

  #swap(a: number, b: number): void {
    const item = this.#items[a]
    this.#put(a, this.#items[b])
    this.#put(b, item)
  }

  #rise(place: number): void {
    for (let above = (place - 1) >> 1; place > 0 && this.#less(place, above); above = (place - 1) >> 1) {
      this.#swap(place, above)
      place = above
    }
  }

  #sink(place: number): void {
    for (;;) {
      let least = place
      for (const below of [2 * place + 1, 2 * place + 2]) {
        if (below < this.#items.length && this.#less(below, least)) least = below
      }
      if (least === place) return
      this.#swap(place, least)
      place = least
    }
  }
}
