import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeMsg, type Event, type RiemannTcpClient } from '@ricci/client'
import { TestCluster, pagesOf } from '../peers/testing.ts'
import { nodeClock } from './node-clock.ts'
import { Bench } from './testing.ts'

const rules = `import { index, incident, rules } from 'ricci'
export default rules(index(), incident('bad', { bad: 'state = "bad"', to: 'console' }))
`

test('engines of two instances answer as one: queries, incidents, a watch', { timeout: 60_000 }, async (context) => {
  const cluster = new TestCluster(2)
  context.after(() => cluster.close())
  const clients: RiemannTcpClient[] = []
  for (const [partition, name] of ['a', 'b'].entries()) {
    const bench = new Bench(rules)
    context.after(() => bench.close())
    const server = bench.server()
    const { tcp } = await server.start()
    await server.ready()
    await cluster.add(name, { [partition]: server['running']().running.get(0)!.engine })
    clients.push(bench.client(tcp))
  }
  const [{ fanOut }] = cluster.instances
  const watching = new AbortController()
  context.after(() => watching.abort())
  const changes = (await fanOut.watch('true', 'json', watching.signal))[Symbol.asyncIterator]()
  const send = (partition: number, events: readonly Event[]) => clients[partition].send(events)
  // more than one page of each
  const many = (partition: number) =>
    Array.from({ length: 3_000 }, (_, i) => ({
      host: `h${partition}`,
      service: `s${i}`,
      metric: 2 * i + partition,
      ttl: 3_600,
    }))
  await Promise.all([send(0, many(0)), send(1, many(1))])

  const now = () => nodeClock.monotonicMs()
  const events = async (query: string): Promise<readonly Event[]> =>
    decodeMsg(Buffer.concat(await fanOut.ask(query, now(), () => true))).events ?? []
  assert.equal((await events('host =~ "h%"')).length, 6_000)
  const sorted = await events('host =~ "h%" sort by metric desc')
  assert.deepEqual(
    sorted.map(({ metric }) => metric),
    Array.from({ length: 6_000 }, (_, i) => 5_999 - i),
  )
  const { pages, missing, fresh } = await fanOut.answer('host =~ "h%" sort by metric limit 3', 'json', now())
  assert.deepEqual(
    (JSON.parse(`[${Buffer.concat(await pagesOf(pages)).toString()}]`) as Event[]).map(({ metric }) => metric),
    [0, 1, 2],
  )
  assert.deepEqual(missing, [])
  assert.ok(fresh.every(({ ageMs }) => ageMs < 10_000))

  const seen = new Set<string | undefined>()
  while (!seen.has('h0') || !seen.has('h1')) {
    const { value } = (await changes.next()) as { value: { lines: Uint8Array } }
    for (const line of Buffer.from(value.lines).toString().split('\n'))
      if (line !== '') seen.add((JSON.parse(line) as Event).host)
  }

  await Promise.all([0, 1].map((partition) => send(partition, [{ host: `h${partition}`, service: 'x', state: 'bad' }])))
  assert.equal((await events('state = "bad"')).length, 2)
  const first = JSON.parse(await fanOut.incidents({ limit: 1 })) as {
    incidents: { open: { host: string }[] }
    cursor: string
  }
  const rest = JSON.parse(await fanOut.incidents({ limit: 10, cursor: first.cursor })) as typeof first
  assert.deepEqual(
    [...first.incidents.open, ...rest.incidents.open].map(({ host }) => host),
    ['h0', 'h1'],
  )
})
