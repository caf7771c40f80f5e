import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { describe, it } from 'node:test'
import { PgBouncer } from './pgbouncer.ts'
import { PostgresServer } from './postgres.ts'
import { TcpProxy } from './proxy.ts'
import { runProgram } from './process.ts'
import { beside, program, without } from './program.ts'

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

  it('stands still when frozen, and goes on', async () => {
    const postgres = await PostgresServer.start({ fsync: false })
    try {
      await postgres.signal('SIGSTOP')
      await assert.rejects(postgres.query('select 1', `${postgres.url}?connect_timeout=2`), /timeout expired/)
      await postgres.signal('SIGCONT')
      assert.deepEqual(await postgres.query('select 1'), ['1'])
    } finally {
      await postgres.stop()
    }
  })

  it('its queries are counted by a proxy', async () => {
    const postgres = await PostgresServer.start({ fsync: false })
    const proxy = await TcpProxy.start(postgres.port, { protocol: 'postgres' })
    try {
      assert.deepEqual(await postgres.query('select 1; select 2', proxy.through(postgres.url)), ['1', '2'])
      assert.equal(proxy.counts.requests, 1)
    } finally {
      await proxy.close()
      await postgres.stop()
    }
  })
})

describe('PostgresServer with TLS', { skip: without('postgres', 'openssl') }, () => {
  it('takes encrypted connections only', async () => {
    const postgres = await PostgresServer.start({ fsync: false, tls: true })
    try {
      const encrypted = 'select ssl from pg_stat_ssl where pid = pg_backend_pid()'
      assert.deepEqual(await postgres.query(encrypted), ['t'])
      await assert.rejects(postgres.query(encrypted, `${postgres.url}?sslmode=disable`), /no encryption/)
    } finally {
      await postgres.stop()
    }
  })
})

describe('PostgresServer with a clock of its own', { skip: without('postgres', 'faketime') }, () => {
  it('is set ahead and back while it runs', async () => {
    const postgres = await PostgresServer.start({ fsync: false, ownClock: true })
    try {
      const isAhead = async (seconds: number): Promise<boolean> => {
        const [now] = await postgres.query('select extract(epoch from clock_timestamp())')
        return Math.abs(Number(now) - Date.now() / 1_000 - seconds) < 20
      }
      assert.ok(await isAhead(0))
      // a session that is there when the clock is set sees it as well
      const loop = `for i in 1..1000 loop exit when clock_timestamp() > now() + '30 min'; perform pg_sleep(0.01); end loop;`
      const session = postgres.query(
        `do $$ begin ${loop} if clock_timestamp() < now() + '30 min' then raise 'nothing happened'; end if; end $$`,
      )
      const waiting = `select count(*) from pg_stat_activity where query like 'do %' and wait_event = 'PgSleep'`
      while ((await postgres.query(waiting))[0] === '0');
      postgres.setClockOffset(3_600_000)
      await session
      assert.ok(await isAhead(3_600))
      postgres.setClockOffset(-60_000)
      assert.ok(await isAhead(-60))
    } finally {
      await postgres.stop()
    }
  })
})

describe('PgBouncer', { skip: without('postgres', 'pgbouncer') }, () => {
  it('gives a session a connection for a transaction only', async () => {
    const postgres = await PostgresServer.start({ fsync: false })
    const pgbouncer = await PgBouncer.start(postgres, { poolSize: 1, settings: { query_wait_timeout: 10 } })
    try {
      const psql = beside(program('postgres'), 'psql')
      const ask = ['-X', '-A', '-t', '-c', 'select pg_backend_pid()']
      // the second session asks while the first one, which has had its answer, is still there
      const nested = `\\! '${psql.file}' -X -A -t -c 'select pg_backend_pid()' '${pgbouncer.url}'`
      const [first, second] = await runProgram(psql, [...ask, '-c', nested, pgbouncer.url], { folder: tmpdir() })
      assert.match(first, /^\d+$/)
      assert.equal(second, first)
    } finally {
      await pgbouncer.stop()
      await postgres.stop()
    }
  })
})
