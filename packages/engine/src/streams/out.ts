import type { EventCursor } from '@ricci/client'
import type { EventList } from '../folds/list.ts'
import type { Node } from './tree.ts'
import type { Runtime } from './runtime.ts'

/**
 * Where an operator sends what it has: to its children, in order. What a child throws ends that child's branch only; it is
 * counted and told to the exception stream (a try at every hop costs nothing that could be measured).
 */
export class Out {
  readonly nodes: readonly Node[]
  readonly #runtime: Runtime
  readonly #progress: Int32Array

  constructor(nodes: readonly Node[], runtime: Runtime) {
    this.nodes = nodes
    this.#runtime = runtime
    this.#progress = runtime.progress
  }

  event(event: EventCursor, fork: number): void {
    const { nodes } = this
    for (let i = 0; i < nodes.length; i++) {
      const node = nodes[i]
      this.#progress[0] = node.number
      node.taken++
      try {
        node.event(event, fork)
      } catch (error) {
        this.#runtime.rescue(node, error, fork, event)
      }
    }
  }

  list(list: EventList, fork: number): void {
    for (const node of this.nodes) {
      this.#progress[0] = node.number
      node.taken++
      try {
        node.list(list, fork)
      } catch (error) {
        this.#runtime.rescue(node, error, fork)
      }
    }
  }

  value(value: unknown, fork: number): void {
    for (const node of this.nodes) {
      this.#progress[0] = node.number
      node.taken++
      try {
        node.value(value, fork)
      } catch (error) {
        this.#runtime.rescue(node, error, fork)
      }
    }
  }
}
