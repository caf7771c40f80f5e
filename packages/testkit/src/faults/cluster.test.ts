// Three servers over three RabbitMQ brokers and Consul: any of them takes events and answers, one owns, and when it is killed or frozen another
// pages what is to be paged, once.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { AMQPClient } from '@cloudamqp/amqp-client'
import { encodeMsg, RiemannTcpClient, type Event } from '@ricci/client'
import { partitionOf } from '@ricci/replica'
import { SeededRandom } from '../random.ts'
import { ConsulCluster } from '../servers/consul.ts'
import { ask } from '../servers/http.ts'
import { without } from '../servers/program.ts'
import { RabbitCluster } from '../servers/rabbitmq.ts'
import { pause } from '../servers/wait.ts'
import { Daemon, type Ports } from './daemon.ts'
import { Pager } from './pager.ts'
import { RoamingWatch } from './roaming-watch.ts'

const program = fileURLToPath(new URL('../../../../ricci.mjs', import.meta.url))
const vhost = 'ricci'
const partitions = 4
const rules = `
import { incident, index, rules, tagged } from 'ricci'
export default rules(index(), tagged('job', incident('job-failed', { to: 'pager' })))
`

/** One server of the three. */
interface Instance {
  readonly name: string
  readonly folder: string
  daemon: Daemon
  ports: Ports
}

interface Status {
  readonly ready: boolean
  readonly partitions: readonly { readonly rules?: string }[]
  readonly log: { readonly id: string }
}

/** Who keeps a partition, as an instance sees it. */
interface Places {
  readonly owning: readonly string[]
  readonly following: readonly string[]
}

describe('a cluster', { skip: without('rabbitmq', 'erlang', 'consul') }, () => {
  let rabbit: RabbitCluster
  let consul: ConsulCluster
  let pager: Pager
  const instances: Instance[] = []
  const clients: RiemannTcpClient[] = []

  before(async () => {
    ;[rabbit, consul, pager] = await Promise.all([
      RabbitCluster.start(),
      ConsulCluster.start(),
      Pager.start(new SeededRandom('cluster'), 'A'),
    ])
    await rabbit.vhost(vhost)
    for (const [index, name] of ['a', 'b', 'c'].entries()) {
      const folder = mkdtempSync(join(tmpdir(), `ricci-cluster-${name}-`))
      mkdirSync(join(folder, 'rules'))
      writeFileSync(join(folder, 'rules/index.ts'), rules)
      const config = {
        instance: name,
        data: 'data',
        listen: { tcp: '127.0.0.1:0', udp: 'off', http: '127.0.0.1:0' },
        cluster: {
          ...{ partitions, listen: '127.0.0.1:0', secret: 'known to the three of them' },
          brokers: rabbit.urls(vhost),
          store: consul.agents[index].url.replace('http', 'consul'),
        },
        receivers: { pager: { type: 'webhook', url: pager.url } },
      }
      writeFileSync(join(folder, 'ricci.yaml'), JSON.stringify(config))
      instances.push({ name, folder, daemon: serve(folder), ports: { tcp: 0, udp: 0, http: 0 } })
    }
    await Promise.all(instances.map(serving))
  })

  after(async () => {
    await Promise.all(clients.map((client) => client.destroy()))
    await Promise.all(instances.map(({ daemon }) => daemon.kill()))
    for (const { folder } of instances) rmSync(folder, { recursive: true, force: true })
    await pager?.close()
    await Promise.all([rabbit?.stop(), consul?.stop()])
  })

  it('begins as one: a single log, each partition owned by one and stood by by another, all of them ready', async () => {
    await until('all to be ready', async () => (await Promise.all(instances.map(status))).every(({ ready }) => ready))
    const states = await Promise.all(instances.map(status))
    assert.equal(new Set(states.map(({ log }) => log.id)).size, 1)
    await whole()
  })

  it('a second process on the data of one of them is refused', async () => {
    const second = serve(instances[0].folder)
    assert.equal((await second.exited).code, 1)
    assert.match(second.text, /in use/)
  })

  it('what any of them acknowledged, each of them answers; the owner pages it', async () => {
    const [a, b, c] = instances
    await send(a, { host: 'one', service: 'job', tags: ['job'], state: 'critical', ttl: 3_600 })
    for (const instance of [b, c]) {
      const events = await clientOf(instance).query('host = "one"')
      assert.deepEqual(
        events.map(({ host, state }) => [host, state]),
        [['one', 'critical']],
      )
    }
    await effect('trigger', 'one')
  })

  it('what a program sends that knows RabbitMQ and nothing of Ricci is in the partition of its routing key', async () => {
    const connection = await new AMQPClient(rabbit.url(0, vhost)).connect()
    const channel = await connection.channel()
    await channel.confirmSelect()
    const msg = encodeMsg({
      events: [{ host: 'foreign', service: 'job', state: 'ok', ttl: 3_600, time: Date.now() / 1000 }],
    })
    await channel.basicPublish('ricci.events', 'shop', msg, {}, true)
    await connection.close()
    await until(
      'it to be in the index',
      async () => (await clientOf(instances[0]).query('host = "foreign"')).length === 1,
    )
    const { fresh } = await answer(instances[1], 'host = "foreign"')
    assert.equal(fresh.length, partitions, 'whoever is asked answers for all partitions')
  })

  it('a reload of one switches the rules of every partition', async () => {
    const before = await rulesInForce()
    assert.equal(before.size, 1)
    const [old] = before
    const put = (text: string): void => {
      for (const { folder } of instances) writeFileSync(join(folder, 'rules', 'index.ts'), text)
    }
    put(rules.replace('index(),', "index(), tagged('other', incident('other-failed', { to: 'pager' })),"))
    instances[1].daemon.reload()
    await until('all to run the new rules', async () => {
      const now = await rulesInForce()
      return now.size === 1 && !now.has(old)
    })
    put(rules)
    instances[2].daemon.reload()
    await until('all to run the old ones', async () => {
      const now = await rulesInForce()
      return now.size === 1 && now.has(old)
    })
  })

  it('kill -9 of the owner with a page under way: another goes on, nothing is lost, nothing doubled', async () => {
    const owner = await theOwner('two')
    const held = pager.hold(({ host }) => host === 'two')
    const [other, third] = instances.filter((instance) => instance !== owner)
    await send(other, { host: 'two', service: 'job', tags: ['job'], state: 'critical', ttl: 3_600 })
    await held
    await owner.daemon.kill()
    await send(third, { host: 'one', service: 'job', tags: ['job'], state: 'ok', ttl: 3_600 })
    await Promise.all([effect('trigger', 'two'), effect('resolve', 'one')])
    assert.notEqual(await theOwner('two'), owner)
    owner.daemon = serve(owner.folder)
    await serving(owner)
    await whole()
  })

  it('who watches is told each change once, over the death of the owner and of the instance that it watches', async () => {
    const watched = 'watched'
    const { owning, following } = (await places(instances[0]))[partitionOf(watched, partitions)]
    const named = (name: string): Instance => instances.find((instance) => instance.name === name)!
    const [owner, standby] = [named(owning[0]), named(following[0])]
    const home = instances.find((instance) => instance !== owner && instance !== standby)!
    const kinds = ['server-sent events', 'lines', 'WebSocket'] as const
    const watches = kinds.map((kind) => new RoamingWatch(kind, `host = "${watched}"`))
    let sent = 0
    const sendSome = async (by: Instance, killed: Instance): Promise<void> => {
      const client = clientOf(by)
      for (let i = 0; i < 40; i++) {
        if (i === 20) void killed.daemon.kill()
        await client.send({ host: watched, service: 'count', metric: sent++, time: Date.now() / 1000, ttl: 3_600 })
      }
    }
    const toldAll = () => Promise.all(watches.map((watch) => watch.until(({ metric }) => metric === sent - 1)))
    const again = async (instance: Instance): Promise<void> => {
      await instance.daemon.exited
      instance.daemon = serve(instance.folder)
      await serving(instance)
      await whole()
    }
    try {
      await Promise.all(watches.map((watch) => watch.watch(home.ports.http)))
      await send(home, { host: watched, service: 'fleeting', ttl: 1 })
      await sendSome(home, owner)
      await toldAll()
      await again(owner)
      await sendSome(standby, home)
      await Promise.all(watches.map(({ gone }) => gone))
      // its own replica began when all of them had a place already
      await Promise.all(watches.map((watch) => watch.watch(owner.ports.http)))
      await toldAll()
      await Promise.all(watches.map((watch) => watch.until(({ state }) => state === 'expired')))
      await again(home)
    } finally {
      await Promise.all(watches.map((watch) => watch.leave()))
    }
    const expected = ['fleeting', 'expired', ...Array.from({ length: sent }, (_, i) => i)]
    for (const { kind, told } of watches) {
      const seen = told.map(({ service, state, metric, description }) =>
        service === 'count' ? metric : service === 'fleeting' ? (state ?? service) : description,
      )
      const numbers = seen.filter((one) => typeof one === 'number')
      assert.deepEqual(numbers, expected.slice(2), kind)
      assert.deepEqual(seen.toSorted(), expected.toSorted(), kind)
    }
  })

  it('a frozen owner: another goes on, and the woken one stands by without a word to anybody', async () => {
    const owner = await theOwner('three')
    const [other] = instances.filter((instance) => instance !== owner)
    process.kill(owner.daemon.pid, 'SIGSTOP')
    try {
      await send(other, { host: 'three', service: 'job', tags: ['job'], state: 'critical', ttl: 3_600 })
      await effect('trigger', 'three')
    } finally {
      process.kill(owner.daemon.pid, 'SIGCONT')
    }
    await whole()
    await send(owner, { host: 'two', service: 'job', tags: ['job'], state: 'ok', ttl: 3_600 })
    await effect('resolve', 'two')
  })

  it('a planned end of the owner, and a broker that is killed meanwhile', async () => {
    const owner = await theOwner('three')
    const [other] = instances.filter((instance) => instance !== owner)
    await rabbit.signal(0, 'SIGKILL')
    await send(other, { host: 'three', service: 'job', tags: ['job'], state: 'ok', ttl: 3_600 })
    await effect('resolve', 'three')
    assert.deepEqual(await owner.daemon.stop(), { code: 0, signal: null })
    await send(other, { host: 'four', service: 'job', tags: ['job'], state: 'critical', ttl: 3_600 })
    await effect('trigger', 'four')
    const told = pager.effects.map(({ action, host }) => `${action} ${host}`)
    assert.deepEqual(told.toSorted(), [...new Set(told)].toSorted(), 'each took effect once')
    assert.deepEqual(pager.strange, [])
  })

  function serve(folder: string): Daemon {
    return new Daemon(program, ['serve', '--config', 'ricci.yaml', '--log-format', 'json'], { cwd: folder })
  }

  async function serving(instance: Instance): Promise<void> {
    instance.ports = await instance.daemon.serving()
  }

  async function status({ ports }: Instance): Promise<Status> {
    return (await ask(`http://127.0.0.1:${ports.http}/api/v1/status`, { timeoutMs: 10_000 })).json<Status>()
  }

  function clientOf({ ports }: Instance): RiemannTcpClient {
    const client = new RiemannTcpClient({ port: ports.tcp, timeoutMs: 60_000 })
    clients.push(client)
    return client
  }

  async function send(instance: Instance, event: Event): Promise<void> {
    await clientOf(instance).send({ ...event, time: Date.now() / 1000 })
  }

  /** Of all partitions, wherever they run: fingerprints. */
  async function rulesInForce(): Promise<Set<string | undefined>> {
    const states = await Promise.all(instances.map(status))
    return new Set(states.flatMap(({ partitions: run }) => run.map((one) => one.rules)))
  }

  async function answer({ ports }: Instance, query: string): Promise<{ fresh: readonly unknown[] }> {
    const url = `http://127.0.0.1:${ports.http}/api/v1/query?query=${encodeURIComponent(query)}`
    return (await ask(url, { timeoutMs: 10_000 })).json()
  }

  async function places({ ports }: Instance): Promise<readonly Places[]> {
    const answer = await ask(`http://127.0.0.1:${ports.http}/api/v1/cluster`, { timeoutMs: 10_000 })
    return answer.json<{ partitions: readonly Places[] }>().partitions
  }

  /** Resolves with the one that owns the partition of a host, by the word of whoever answers. */
  async function theOwner(host: string): Promise<Instance> {
    let owner: Instance | undefined
    await until('an owner', async () => {
      for (const instance of instances) {
        const seen = await places(instance).catch(() => undefined)
        const { owning = [] } = seen?.[partitionOf(host, partitions)] ?? {}
        if (owning.length === 1) owner = instances.find(({ name }) => name === owning[0])
      }
      return owner !== undefined
    })
    return owner!
  }

  /** Resolves when all of them see each partition owned by one and stood by by another, at least. */
  async function whole(): Promise<void> {
    await until('every partition to be owned and stood by', async () => {
      const seen = await Promise.all(instances.map(places))
      return seen.flat().every(({ owning, following }) => owning.length === 1 && following.length >= 1)
    })
  }

  async function effect(action: string, host: string): Promise<void> {
    await until(`the ${action} of ${host}`, async () => pager.has(action, 'job-failed', host))
  }

  /** Asks again and again: what a process of its own does is told by asking. */
  async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
    for (let asked = 0; !(await holds()); asked++) {
      if (asked === 2_000) {
        const said = instances.map(({ name, daemon }) => `${name}: ${daemon.text.slice(-1_500)}`).join('\n')
        assert.fail(`waited in vain for ${what}\n${said}`)
      }
      await pause()
    }
  }
})
