/** Runs the tests of rules: one after another, each on an engine of its own. */
import type { RulesDescription } from '@ricci/engine'
import { expect } from './expect.ts'
import { RulesRun, type TestBody, type TestOptions } from './test-run.ts'

/** How a folder's tests went. */
export interface TestsReport {
  readonly passed: number
  readonly failures: readonly { readonly name: string; readonly text: string }[]
}

interface DeclaredTest {
  readonly name: string
  readonly body: TestBody
  readonly options: TestOptions
}

/** What test files import, and what they declared by it. */
export interface TestModule {
  /** The module `ricci/test`. */
  readonly words: Readonly<Record<string, unknown>>
  readonly declared: readonly DeclaredTest[]
}

/** Makes the module `ricci/test` for one evaluation of a folder's tests. */
export function testModule(): TestModule {
  const declared: DeclaredTest[] = []
  const test = (name: string, body: TestBody, options: TestOptions = {}): void => {
    if (typeof name !== 'string' || typeof body !== 'function') {
      throw new Error('a test is a name and a function: test("a hot oven pages", (run) => { … })')
    }
    declared.push({ name, body, options })
  }
  return { words: { test, expect }, declared }
}

/**
 * @param rules what the folder's index exports
 * @param settings of the configuration
 * @param onRun told of each test and of the run it is given: a clock for the rules, a name for whoever waits
 */
export function runTests(
  { declared }: TestModule,
  rules: RulesDescription,
  settings: Readonly<Record<string, unknown>>,
  explain: (error: unknown) => string,
  onRun: (name: string, run: RulesRun) => void,
): TestsReport {
  const failures: { name: string; text: string }[] = []
  for (const { name, body, options } of declared) {
    try {
      const run = new RulesRun(options.rules ?? rules, { ...settings, ...options.settings })
      onRun(name, run)
      const given: unknown = body(run)
      if (given instanceof Promise) throw new Error('a test of rules is not async: nothing in it waits')
      const [first] = run.errors
      if (first !== undefined) failures.push({ name, text: `a rule threw, in ${first[0]}: ${explain(first[1])}` })
    } catch (error) {
      failures.push({ name, text: explain(error) })
    }
  }
  return { passed: declared.length - failures.length, failures }
}
