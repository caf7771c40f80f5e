import assert from 'node:assert/strict'
import { once } from 'node:events'
import { it } from 'node:test'
import { leaderElection } from './compat.ts'
import { memory } from './index.ts'

const key = 'locks/my-little-service'

it('has the two events of exp-leader-election, and an end', async () => {
  const store = memory()
  const one = leaderElection({ key, store })
  const [sessionId] = await once(one, 'gainedLeadership')
  assert.equal(sessionId, one.election.group.self.session)
  const other = leaderElection({ key, store, consul: { host: 'never-asked', ttl: 15, lockDelay: 10, readWait: 180 } })
  const next = once(other, 'gainedLeadership')
  await one.close()
  await next
  await other.close()
})

it('tells that leadership is lost, once, and of the next gain', async () => {
  const store = memory()
  const said: unknown[] = []
  const one = leaderElection({ key, store, debug: (...words) => said.push(words[0]) })
  await once(one, 'gainedLeadership')
  const lost = once(one, 'error')
  // An operator asks it to hand over, and there is nobody else.
  await one.election.group.requestHandOver('leader', null)
  // A hand-over is its own doing, and costs leadership all the same.
  assert.equal((await lost)[0].code, 'TERM_RESIGNED')
  await once(one, 'gainedLeadership')
  assert.ok(said.includes('leader') && said.includes('follower'))
  await one.close()
})
