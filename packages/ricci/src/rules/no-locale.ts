/** What JavaScript leaves to the machine's locale: a rule that words or orders by it would decide otherwise on another replica. */

/**
 * Makes such methods say the same everywhere, for all code of this thread: they belong to every text and number, so nothing can stand
 * before them as before `Date`. Texts compare by their code units, numbers read as in a program, whatever locale is asked for.
 */
export function withoutLocale(): void {
  replace(String.prototype, 'localeCompare', function (this: unknown, other: unknown) {
    const [a, b] = [String(this), String(other)]
    return a < b ? -1 : Number(a > b)
  })
  replace(String.prototype, 'toLocaleLowerCase', function (this: unknown) {
    return String(this).toLowerCase()
  })
  replace(String.prototype, 'toLocaleUpperCase', function (this: unknown) {
    return String(this).toUpperCase()
  })
  for (const numbers of [Number.prototype, BigInt.prototype]) {
    replace(numbers, 'toLocaleString', function (this: unknown) {
      return String(this)
    })
  }
}

function replace(prototype: object, name: string, value: (this: unknown, other?: unknown) => unknown): void {
  Object.defineProperty(prototype, name, { value, writable: true, configurable: true, enumerable: false })
}
