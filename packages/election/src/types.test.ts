/** What the compiler accepts of the public API, and what it refuses: checked by `npm run check`; here only that it is all there. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Election, ElectionGroup, memory, type ElectionError, type Leadership, type Term } from './index.ts'

/** Holds only where both types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Says of a value that its type is just this one. */
function is<Wanted>(): <Given>(value: Given, same: Same<Given, Wanted>) => void {
  return (_value, same) => assert.ok(same)
}

/** Never called. */
export async function typed(election: Election, group: ElectionGroup): Promise<void> {
  is<Term>()(await election.campaign(), true)
  is<void>()(await election.handOver('host-2'), true)
  const sync = await election.lead(() => 1)
  is<number>()(sync, true)
  const work = await election.lead(async ({ token, signal }) => {
    is<bigint>()(token, true)
    is<AbortSignal>()(signal, true)
    return 'text'
  })
  is<string>()(work, true)
  const acted = await (await election.campaign()).act('id', (token) => ({ token }))
  is<{ token: bigint }>()(acted, true)
  for await (const state of election) is<Leadership>()(state, true)
  election
    .on('elected', (term) => is<Term>()(term, true))
    .once('deposed', (reason) => is<ElectionError>()(reason, true))
    .on('leader', (leader) => is<{ readonly session: string; readonly id: string } | undefined>()(leader, true))
  group.on('store', (answers) => is<boolean>()(answers, true))
  await using scoped = group.candidate('x', { holdBackMs: 50 })
  scoped.stand()

  // @ts-expect-error: no such event
  election.on('error', () => undefined)
  // @ts-expect-error: a group's event, not a candidate's
  election.on('members', () => undefined)
  // @ts-expect-error: work is needed
  await election.lead()
  // @ts-expect-error: no such unit
  new Election({ name: 'x', store: memory(), lease: '2d' })
  // @ts-expect-error: no such profile
  new Election({ name: 'x', store: memory(), profile: 'quick' })
  // @ts-expect-error: no store
  new Election({ name: 'x' })
  // @ts-expect-error: no such gate
  await scoped.term!.act('id', () => 1, { gate: 'none' })
  // @ts-expect-error: a token is no number
  new ElectionGroup({ name: 'x', store: memory(), minToken: 1 })
  // @ts-expect-error: what is published can be written as JSON
  await group.publish(() => 1)
  // @ts-expect-error: computed, never set
  election.isLeader = true
  // @ts-expect-error: what a term is, it stays
  scoped.term!.token = 1n
}

it('has types', () => assert.equal(typeof typed, 'function'))
