import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { electionStoreConformance, PgBouncer, PostgresServer, without } from '@ricci/testkit'
import { postgres, systemClock } from '../../index.ts'

describe('postgres behind PgBouncer in transaction mode', { skip: without('postgres', 'pgbouncer') }, () => {
  let server: PostgresServer
  let pooler: PgBouncer
  let schemas = 0

  before(async () => {
    server = await PostgresServer.start({ fsync: false })
    pooler = await PgBouncer.start(server)
  })
  after(async () => {
    await pooler.stop()
    await server.stop()
  })

  electionStoreConformance('postgres, pooled', async () => {
    const schema = `conformance_${++schemas}`
    return {
      servers: async () => `${await server.about()}, behind PgBouncer`,
      store: () => postgres({ url: pooler.url, schema }),
      removeName: async (group, name) => {
        await server.query(`delete from ${schema}.names where grp = '${group}' and name = '${name}'`)
      },
      endSession: async (_, session) => {
        await server.query(`delete from ${schema}.members where session = ${session}`)
      },
    }
  })

  it('leaves nothing on connections that are not its own: no setting, nobody who listens', async () => {
    const signal = AbortSignal.timeout(20_000)
    const store = postgres({ url: pooler.url, schema: 'traces' })
    const about = { group: 'g', id: 'a', data: null, leaseMs: 1000, detectMs: 1000 }
    const system = { clock: systemClock, random: Math.random, signal, warn: assert.fail }
    const session = await store.open({ ...about, ...system })
    await Promise.all([session.read(signal), session.read(signal), session.changed(signal)])
    await session.changed(signal)
    const settings = ['statement_timeout', 'lock_timeout', 'default_transaction_isolation', 'synchronous_commit']
    const own = settings.map((name) => `current_setting('${name}')`).join()
    const sql = `select ${own}, count(*) from pg_listening_channels()`
    for (let round = 0; round < 4; round++) assert.deepEqual(await pooler.query(sql), ['0|0|read committed|on|0'])
    await session.close(signal)
  })
})
