import { ElectionError } from '../../errors.ts'

/** What the tables look like; another number when they do not fit this code any more. Kept as a comment on the first table. */
const layout = 'ricci election, layout 2'

/** The schema that holds an election's tables, where no other is named. */
export const defaultSchema = 'election'

/** The lock under which tables are made: two who make them at the same time would run into each other ("duplicate key"). Any number does that is ours. */
const makingLock = 7_205_759_421

/**
 * A schema's name as it stands in SQL.
 * @throws ElectionError `OPTION_INVALID`
 */
export function quotedSchema(schema: string): string {
  if (/^[a-z_][a-z0-9_]{0,62}$/.test(schema)) return `"${schema}"`
  const said = `schema is ${JSON.stringify(schema)}; use up to 63 small letters, digits and _, not beginning with a digit`
  throw new ElectionError('OPTION_INVALID', said, false)
}

/**
 * The SQL that makes the tables of elections: for migrations, where the program's own role may not. May be run again, and by several at a time
 * if in one transaction, which a single call of `psql -1` or of a driver's query is.
 *
 * The role that runs elections needs: `usage` on the schema and on the sequence; `select`, `insert`, `update`, `delete` on the three tables. It reads
 * the timeline by `pg_walfile_name` and `pg_current_wal_lsn`, which everybody may call unless that was revoked. Who only looks needs `usage` on the
 * schema and `select`.
 *
 * - **numbers** gives every session, token and version its number: a sequence never repeats one, whatever rows are deleted, and
 *   draws one at a time (`cache 1`, which is the default), so that a number drawn later is higher.
 * - **members** has a row per session. Its end is the end of the row: it is never inserted again. Half of each page stays
 *   free, so that a renewal, four in a lease, stays within it and touches no index (HOT).
 * - **names** keeps a name's last tenure. `version` is new after each acquisition, release and eviction.
 * - **journal** has the actions that were begun.
 *
 * @example
 * console.log(postgresSchema()) // > election.sql
 */
export function postgresSchema(schema: string = defaultSchema): string {
  const s = quotedSchema(schema)
  // Without the second statement, who waited for the first would not hear of what was made meanwhile: that comes with a table's lock only.
  return `select pg_advisory_xact_lock(${makingLock});
select from pg_namespace limit 0;
create schema if not exists ${s};
create sequence if not exists ${s}.numbers cache 1;
create table if not exists ${s}.members (
  session bigint primary key,
  grp text not null,
  id text not null,
  data json not null,
  published bigint not null default 0,
  renewals bigint not null,
  ttl_ms integer not null,
  expires_at timestamptz not null,
  by_clock boolean not null,
  timeline bigint not null
) with (fillfactor = 50);
create index if not exists members_grp on ${s}.members (grp);
create table if not exists ${s}.names (
  grp text not null,
  name text not null,
  token bigint not null,
  version bigint not null,
  holder bigint,
  holder_id text,
  settled boolean not null,
  lease_ms integer not null,
  successor text,
  request json,
  primary key (grp, name)
);
create index if not exists names_holder on ${s}.names (holder);
create table if not exists ${s}.journal (
  grp text not null,
  name text not null,
  id text not null,
  token bigint not null,
  attempt text not null,
  done boolean not null,
  began_at timestamptz not null,
  primary key (grp, name, id)
);
create index if not exists journal_age on ${s}.journal (grp, name, began_at);
comment on table ${s}.members is '${layout}';
`
}

/** How many entries of a journal one call removes at most: a transaction stays short. */
const prunedAtOnce = 500

/**
 * Reads the number of the server's timeline: 1 at first, one more after each promotion of a standby and each restore to a point
 * in time. `pg_control_checkpoint()` would still give the old one until the first checkpoint after a promotion.
 */
const timelineSql = "('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint"

/** Where the timeline cannot be read: no timeline has this number. */
const unknownTimeline = '0::bigint'

/**
 * Asks a server what it is: which process answers (another than the one that a pooler pretends to be), whether it takes writes, its timeline.
 * If it answers itself ($1), statements on this connection are bounded ($2, in ms), see one another's commits whatever the role's default
 * is, and the server notices a client that vanished ($3 to $5). Behind a pooler such settings would be other people's.
 */
export const probeSql = probe()

/** One statement, for a server whose timeline we may read and for another. */
export interface Statement {
  readonly text: string
  readonly withoutTimeline: string
}

/** The statements of a store; each is a transaction of its own, of one round trip, and none is prepared under a name: they work behind any pooler. */
export type Statements = Readonly<Record<StatementName, Statement>>

type StatementName =
  | 'join'
  | 'read'
  | 'evict'
  | 'leave'
  | 'publish'
  | 'prepare'
  | 'acquire'
  | 'release'
  | 'look'
  | 'request'
  | 'begin'
  | 'finish'
  | 'withdraw'
  | 'prune'

/**
 * Every statement that writes begins with its **settings**, which hold for its transaction only: how long it waits for a row's lock
 * ($1, in ms, as text), and that its commit is on disk (and on the standbys that the server waits for) before it is answered, whatever the
 * role's default is. A renewal that a crash could undo would let an observer end a session whose holder still acts.
 *
 * Three rules keep what runs at the same time apart, all under READ COMMITTED, where a statement sees what had been committed when
 * it began, but a row it changes is waited for, and its condition is then asked again of the row's **newest** version (EvalPlanQual):
 *
 * 1. *A session's life is its row.* `read` and `acquire` renew it, and `evict` deletes it **on the condition that `renewals` is what the evictor
 *    saw**. Whichever locks the row first wins: a renewal that waited for an eviction finds no row, and the session is lost, which no row is ever
 *    inserted for again. An eviction waits for nobody (`skip locked`): it stands before the evictor's own next renewal, and who is just
 *    renewing is alive. Where the row was changed since its snapshot, locking asks its condition again, and `renewals` is another.
 * 2. *`acquire` renews in the same statement*, since the core lets a new holder act for a lease from when it asked. It locks the member's row before
 *    the name's, as `evict` and `leave` do, so that none waits for another in a circle. An eviction whose snapshot does not show yet what its
 *    victim has just acquired thus finds another number of renewals, too: it never leaves a name behind.
 * 3. *Names change on the condition of their version or token*, asked again of the newest row likewise.
 *
 * A holder whose row is gone though nobody evicted it (an operator deleted it), or that is of another timeline (see `alive`), holds nothing: but
 * it may still act, so the name counts as free without being settled. That cannot become untrue again: the version still stands for one free time.
 */
export function statementsOf(schema: string): Statements {
  const s = quotedSchema(schema)
  const next = `(TIMELINE << 32) + nextval('${s}.numbers')`
  const settings = `settings as materialized (
    select set_config('lock_timeout', $1, true), set_config('synchronous_commit',
      case current_setting('synchronous_commit') when 'remote_apply' then 'remote_apply' else 'on' end, true))`
  // After the promotion of a standby that had not received everything, sessions are those of an earlier moment: what was evicted
  // would live again, beside a successor that the new server never heard of. So all of them end with their timeline.
  const alive = (member: string): string => `(${member}.timeline = 0 or TIMELINE in (0, ${member}.timeline))`
  const renew = `update ${s}.members m
    set renewals = m.renewals + 1, expires_at = clock_timestamp() + m.ttl_ms * interval '1 millisecond'
    from settings where m.session = $2::bigint and ${alive('m')}`
  const members = (condition: string): string => `coalesce((
    select json_agg(json_build_object('session', m.session::text, 'id', m.id, 'data', m.data, 'renewals', m.renewals::text, 'ttlMs', m.ttl_ms,
      'leftMs', case when m.by_clock then extract(epoch from m.expires_at - clock_timestamp()) * 1000 end))
    from ${s}.members m where ${condition}), '[]')::text as members`
  const names = (group: string): string => `coalesce((
    select json_agg(json_build_object('name', n.name, 'version', n.version::text, 'token', n.token::text, 'holder', n.holder::text,
      'holderId', n.holder_id, 'settled', n.settled, 'leaseMs', n.lease_ms, 'successor', n.successor, 'request', n.request))
    from ${s}.names n where n.grp = ${group}), '[]')::text as names`
  const freeAll = (whose: string, settled: boolean): string => `update ${s}.names n
    set holder = null, holder_id = null, settled = ${settled}, successor = null, request = null, version = ${next}
    from ${whose} where n.holder = ${whose}.session returning n.name`
  const told = (channel: string, source: string): string =>
    `(select pg_notify(${channel}, '') from ${source} limit 1) as told`

  const texts: Record<StatementName, string> = {
    // $2 group, $3 id, $4 data, $5 TTL, $6 by clock, $7 channel
    join: `with ${settings}, gone as (
      delete from ${s}.members m using settings where m.grp = $2 and not ${alive('m')}
    ), joined as (
      insert into ${s}.members (session, grp, id, data, renewals, ttl_ms, expires_at, by_clock, timeline)
      select ${next}, $2, $3, $4::json, 0, $5::integer, clock_timestamp() + $5::integer * interval '1 millisecond', $6::boolean, TIMELINE
      from settings returning session
    ) select (select session from joined)::text as session, ${told('$7', 'joined')},
      obj_description('${s}.members'::regclass, 'pg_class') as layout,
      (select m.ttl_ms from ${s}.members m where m.grp = $2 and m.ttl_ms <> $5::integer
        and m.expires_at > clock_timestamp() and ${alive('m')} limit 1)::text as other`,
    // $2 session, $3 group
    read: `with ${settings}, renewed as (${renew} returning 1)
      select (select count(*) from renewed) as renewed, ${members(`m.grp = $3 and ${alive('m')}`)}, ${names('$3')}`,
    // Arrays: $2 sessions, $3 their renewals as seen, $4 whether they were seen for the whole TTL; $5 channel
    evict: `with ${settings}, due as (
      select d.* from settings, unnest($2::bigint[], $3::bigint[], $4::boolean[]) as d (session, renewals, watched)
    ), locked as (
      select m.session from ${s}.members m, due where m.session = due.session and m.renewals = due.renewals
        and (due.watched or (m.by_clock and m.expires_at <= clock_timestamp())) for update of m skip locked
    ), ended as (
      delete from ${s}.members m using locked where m.session = locked.session returning m.session
    ), freed as (${freeAll('ended', true)})
    select (select count(*) from freed) as freed, ${told('$5', 'ended')}`,
    // $2 session, $3 channel
    leave: `with ${settings}, ended as (
      delete from ${s}.members m using settings where m.session = $2::bigint returning m.session
    ), freed as (${freeAll('ended', false)})
    select (select count(*) from freed) as freed, ${told('$3', 'ended')}`,
    // $2 session, $3 data, $4 channel, $5 its number: what was given up may come yet, and must not undo a later one
    publish: `with ${settings}, changed as (
      update ${s}.members m set data = $3::json, published = $5::bigint from settings
      where m.session = $2::bigint and m.published < $5::bigint and ${alive('m')} returning 1
    ) select (select count(*) from changed) as changed, ${told('$4', 'changed')}`,
    // $2 group, $3 name
    prepare: `with ${settings}
      insert into ${s}.names (grp, name, token, version, settled, lease_ms) select $2, $3, 0, ${next}, false, 0 from settings on conflict do nothing`,
    // $2 session, $3 group, $4 name, $5 version, $6 channel, $7 lease in ms
    acquire: `with ${settings}, me as (${renew} returning m.id), number as materialized (select ${next} as value from me),
    taken as (
      update ${s}.names n set token = number.value, version = number.value, holder = $2::bigint, holder_id = me.id,
        settled = false, lease_ms = $7::integer, successor = null, request = null
      from me, number where n.grp = $3 and n.name = $4 and n.version = $5::bigint and (n.holder is null
        or not exists (select from ${s}.members o where o.session = n.holder and ${alive('o')}))
      returning n.token
    ) select (select count(*) from me) as renewed, (select token from taken)::text as token, ${told('$6', 'taken')}`,
    // $2 session, $3 group, $4 name, $5 token, $6 settled, $7 successor, $8 channel, $9 lease in ms
    release: `with ${settings}, freed as (
      update ${s}.names n set holder = null, holder_id = null, settled = $6::boolean, lease_ms = $9::integer, successor = $7, request = null, version = ${next}
      from settings where n.grp = $3 and n.name = $4 and n.token = $5::bigint and n.holder = $2::bigint returning 1
    ) select ${told('$8', 'freed')}`,
    // $1 group; writes nothing, so that it asks for no more than to read
    look: `select ${members(`m.grp = $1 and m.expires_at > clock_timestamp() and ${alive('m')}`)}, ${names('$1')}`,
    // $2 group, $3 name, $4 token, $5 request, $6 channel
    request: `with ${settings}, asked as (
      update ${s}.names n set request = $5::json
      from settings where n.grp = $2 and n.name = $3 and n.token = $4::bigint and n.holder is not null returning 1
    ) select ${told('$6', 'asked')}`,
    // $2 session, $3 group, $4 name, $5 token, $6 id, $7 attempt. The row's lock is the fence: who acquires the name waits until this
    // is committed, and once somebody has, there is no such row.
    begin: `with ${settings}, fence as (
      select n.token from ${s}.names n, settings
      where n.grp = $3 and n.name = $4 and n.token = $5::bigint and n.holder = $2::bigint for share of n
    ), noted as (
      insert into ${s}.journal (grp, name, id, token, attempt, done, began_at)
      select $3, $4, $6, fence.token, $7, false, clock_timestamp() from fence on conflict do nothing returning 1
    ) select (select count(*) from fence) as fence, (select count(*) from noted) as noted, j.token::text, j.attempt, j.done
      from settings left join ${s}.journal j on j.grp = $3 and j.name = $4 and j.id = $6`,
    // $2 group, $3 name, $4 id, $5 attempt
    finish: `with ${settings} update ${s}.journal j set done = true
      from settings where j.grp = $2 and j.name = $3 and j.id = $4 and j.attempt = $5`,
    withdraw: `with ${settings} delete from ${s}.journal j
      using settings where j.grp = $2 and j.name = $3 and j.id = $4 and j.attempt = $5`,
    // $2 group, $3 name, $4 age in ms
    prune: `with ${settings}, old as (
      select j.id from ${s}.journal j where j.grp = $2 and j.name = $3
        and j.began_at < clock_timestamp() - $4::float8 * interval '1 millisecond'
      order by j.began_at limit ${prunedAtOnce}
    ), pruned as (
      delete from ${s}.journal j using old, settings where j.grp = $2 and j.name = $3 and j.id = old.id returning 1
    ) select (select count(*) from pruned) as pruned`,
  }
  const entries = Object.entries(texts).map(([name, text]): [string, Statement] => [name, both(text)])
  return Object.fromEntries(entries) as unknown as Statements
}

function probe(): Statement {
  const settings = {
    statement_timeout: '$2::text',
    lock_timeout: '$2::text',
    default_transaction_isolation: "'read committed'",
    tcp_keepalives_idle: '$3::text',
    tcp_keepalives_interval: '$4::text',
    tcp_keepalives_count: '$5::text',
  }
  const set = Object.entries(settings).map(
    ([name, value]) => `case when pg_backend_pid() = $1::integer then set_config('${name}', ${value}, false) end`,
  )
  return both(`select pg_backend_pid()::text as process, current_setting('transaction_read_only') as read_only,
    pg_is_in_recovery() as standby, (case when pg_is_in_recovery() then 0 else TIMELINE end)::text as timeline,
    ${set.join(',\n    ')}`)
}

function both(text: string): Statement {
  return {
    text: text.replaceAll('TIMELINE', timelineSql),
    withoutTimeline: text.replaceAll('TIMELINE', unknownTimeline),
  }
}

/** @throws ElectionError `STORE_REFUSED` when the tables are another version's */
export function assertLayout(found: string | null, schema: string): void {
  if (found === layout) return
  const said = `the tables in the schema ${schema} are of another version (${found ?? 'not ours'})`
  throw new ElectionError(
    'STORE_REFUSED',
    `${said}; this one needs "${layout}". Name another schema, or drop it`,
    false,
  )
}
