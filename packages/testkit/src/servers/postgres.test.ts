import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { PostgresServer } from './postgres.ts'
import { without } from './program.ts'

describe('PostgresServer', { skip: without('postgres') }, () => {
  it('keeps what was committed over every kind of restart', async () => {
    const postgres = await PostgresServer.start({ settings: { idle_session_timeout: '3s' } })
    try {
      await postgres.query('create table kept (name text); insert into kept values (version())')
      assert.deepEqual(await postgres.query('show idle_session_timeout'), ['3s'])
      await postgres.restart('fast')
      await postgres.restart('immediate')
      await postgres.signal('SIGKILL')
      await postgres.restart()
      assert.match((await postgres.query('select * from kept'))[0], /^PostgreSQL/)
    } finally {
      await postgres.stop()
    }
  })
})
