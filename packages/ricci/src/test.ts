/**
 * What tests of rules import, in files named `….test.ts` beside the rules. `ricci test` runs them, and so does every switch of rules,
 * before it: through the real engine, in virtual time.
 *
 * @example
 * import { expect, test } from 'ricci/test'
 *
 * test('an oven that stays critical pages', (run) => {
 *   run.send({ host: 'kitchen', service: 'oven', state: 'critical' })
 *   run.pass(5)
 *   expect(run.pages, [{ action: 'trigger', rule: 'critical', host: 'kitchen' }])
 * })
 */
import type { TestBody, TestOptions } from './rules/test-run.ts'

export type { Event } from '@ricci/client'
export { expect } from './rules/expect.ts'
export type { Run, SentPage, TestBody, TestOptions } from './rules/test-run.ts'

/**
 * Declares a test of the rules beside it, or of those in its options. It fails when its function throws, or a rule does.
 * @param name said when it fails
 */
export function test(name: string, body: TestBody, options?: TestOptions): void
export function test(): never {
  throw new Error('tests of rules are run by `ricci test FOLDER`, not by themselves')
}
