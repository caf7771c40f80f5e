/** What is still named by state, while symbols are collected. */
export class Marks {
  readonly symbols: Uint8Array
  readonly tagSets: Uint8Array
  readonly attributeSets: Uint8Array

  constructor(symbols: number, tagSets: number, attributeSets: number) {
    this.symbols = new Uint8Array(symbols)
    this.tagSets = new Uint8Array(tagSets)
    this.attributeSets = new Uint8Array(attributeSets)
  }

  symbol(id: number): void {
    this.symbols[id] = 1
  }
  tags(set: number): void {
    this.tagSets[set] = 1
  }
  attributes(set: number): void {
    this.attributeSets[set] = 1
  }
}
