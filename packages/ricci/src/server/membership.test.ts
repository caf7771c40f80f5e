import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import type { CoordinationPort, Member } from '@ricci/replica'
import { VirtualClock } from '@ricci/testkit'
import type { ClusterConfig } from '../config/config.ts'
import { createLogger } from '../telemetry/logger.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import { Membership } from './membership.ts'

const rules = { kind: 'rules', hash: 'x', settings: {}, semantics: 1, bundle: new Uint8Array() } as const

/** An instance beside another, which is among the members and has died. */
async function besideTheDead(context: TestContext) {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const dead = { instance: 'b', data: { peers: `127.0.0.1:${port}`, draining: false, version: '', partitions: {} } }
  const clock = new VirtualClock()
  let members: readonly Member[] = [dead]
  let listeners: (() => void)[] = []
  const coordination: Partial<CoordinationPort> = {
    members: () => members,
    onMembers: (listener) => {
      const tell = (): void => listener(members)
      listeners.push(tell)
      return () => (listeners = listeners.filter((one) => one !== tell))
    },
  }
  const identity = { secret: { reveal: () => 'a secret of sixteen bytes and more' } }
  const membership = new Membership({
    instance: 'a',
    config: { identity } as ClusterConfig,
    coordination: coordination as CoordinationPort,
    partitions: 1,
    snapshots: { list: async () => [] } as never,
    clock,
    telemetry: new Telemetry(createLogger({ format: 'people', write: () => undefined }), () => 0),
    onJoin: () => undefined,
    onChange: () => undefined,
  })
  context.after(() => membership.close())
  const waits = async (): Promise<void> => {
    // of its own, and for members
    while (listeners.length < 2) await new Promise(setImmediate)
  }
  const leave = (): void => {
    members = []
    for (const tell of listeners) tell()
  }
  return { clock, membership, waits, leave, isHeard: () => listeners.length }
}

test('rules are tried by who lives: one that died is waited for until the store knows', async (context) => {
  const { clock, membership, waits, leave, isHeard } = await besideTheDead(context)
  const trying = membership.tryRules(rules)
  await waits()
  leave()
  await trying
  assert.deepEqual([clock.pendingTimers, isHeard()], [0, 1])
})

test('one that cannot be reached and is not found to have died keeps all from switching, and is named', async (context) => {
  const { clock, membership, waits } = await besideTheDead(context)
  const refused = assert.rejects(membership.tryRules(rules), {
    code: 'PEER_UNREACHABLE',
    message:
      /instance "b" could not load the rules, so no instance switches: .*nobody listens there; mend it or end it/,
  })
  await waits()
  await clock.advance(10_000)
  await refused
})
