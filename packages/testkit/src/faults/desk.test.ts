// An operator's commands over three servers on real brokers and store, each asked of the server that knows least: it keeps no replica of what is
// asked about, another is frozen, or it is of no use itself and must say so.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { partitionOf } from '@ricci/replica'
import { ConsulCluster } from '../servers/consul.ts'
import { ask } from '../servers/http.ts'
import { without } from '../servers/program.ts'
import { RabbitCluster } from '../servers/rabbitmq.ts'
import { pause } from '../servers/wait.ts'
import { Instance } from './cluster/instance.ts'

const program = fileURLToPath(new URL('../../../../ricci.mjs', import.meta.url))
const vhost = 'ricci'
const partitions = 6
const secret = 'known to the three of them'
const rules = (...names: readonly string[]): string => `
import { incident, index, rules, tagged } from 'ricci'
export default rules(index()${names.map((name) => `, tagged('${name}', incident('${name}', { to: 'console' }))`).join('')})
`

interface Places {
  readonly partition: number
  readonly owning: readonly string[]
  readonly following: readonly string[]
}

interface Overview {
  readonly paging: boolean
  readonly instances: readonly { readonly instance: string; readonly owning: number }[]
  readonly partitions: {
    readonly count: number
    readonly unowned: readonly number[]
    readonly unknown: readonly number[]
  }
}

interface RulesOverview {
  readonly instances: readonly {
    readonly instance: string
    readonly partitions: readonly { readonly partition: number; readonly hash?: string; readonly offset?: number }[]
  }[]
}

interface Listed {
  readonly incidents: Record<
    'open' | 'closed',
    readonly { readonly id: string; readonly host: string; readonly acknowledged?: { readonly who: string } }[]
  >
}

describe("an operator's commands in a cluster", { skip: without('rabbitmq', 'erlang', 'consul') }, () => {
  let rabbit: RabbitCluster
  let consul: ConsulCluster
  const instances: Instance[] = []

  before(async () => {
    ;[rabbit, consul] = await Promise.all([RabbitCluster.start(), ConsulCluster.start()])
    await rabbit.vhost(vhost)
    for (const name of ['a', 'b', 'c']) await add(name)
    await begin(...instances)
    await until('each partition to be owned and stood by', async () => {
      const seen = await Promise.all(instances.map(places))
      return seen.flat().every(({ owning, following }) => owning.length === 1 && following.length > 0)
    })
  })

  after(async () => {
    await Promise.all(instances.map((instance) => instance.close()))
    await Promise.all([rabbit?.stop(), consul?.stop()])
  })

  it('status: each names all of them, and tells of every partition', async () => {
    for (const instance of instances) {
      const { paging, instances: told, partitions: of } = await get<Overview>(instance, 'overview')
      assert.deepEqual([paging, of.count, of.unowned, of.unknown], [true, partitions, [], []])
      assert.deepEqual(told.map((one) => one.instance).toSorted(), ['a', 'b', 'c'])
      assert.equal(
        told.reduce((sum, { owning }) => sum + owning, 0),
        partitions,
      )
    }
  })

  it('an incident is listed, explained and acknowledged where its partition is not kept, and the others know', async () => {
    const [asked, cluster] = await outsider()
    const event = { host: 'web-1', service: 'job', state: 'critical', ttl: 3_600, tags: ['job'], cluster }
    assert.notEqual(partitionOf('web-1', partitions), partitionOf(cluster, partitions), 'the name alone leads astray')
    assert.deepEqual(await post(asked, 'events', event), { taken: 1 })
    let id = ''
    await until('the incident to be listed', async () => {
      const { incidents } = await get<Listed>(asked, 'incidents')
      id = incidents.open.find(({ host }) => host === 'web-1')?.id ?? ''
      return id !== ''
    })
    const short = id.split('.').slice(1, 4).join('.')
    await until('its page to be told', async () =>
      /"result":"delivered"/.test((await asked.request(`/api/v1/explain/incident?incident=${short}`)).text),
    )
    const why = (await asked.request('/api/v1/explain/silence?host=web-1&rule=job')).text.trim().split('\n').at(-1)!
    const { answer } = JSON.parse(why) as { answer: { partition: number; events: number; decided: readonly unknown[] } }
    assert.deepEqual(
      [answer.partition, answer.events, answer.decided.length],
      [partitionOf(cluster, partitions), 1, 1],
      why,
    )
    await post(asked, 'incidents/commands', { command: 'acknowledge', incidents: [short], why: 'seen' })
    for (const instance of instances) {
      const { incidents } = await get<Listed>(instance, `incidents?incident=${short}`)
      assert.deepEqual(
        incidents.open.map(({ acknowledged }) => acknowledged?.who),
        ['local'],
        instance.name,
      )
    }
  })

  it('a reload switches every partition at one position on every replica, also of those not kept by who was asked', async () => {
    const before = await inForce(instances[2])
    await reload(instances[0], rules('job', 'other'))
    let now = before
    // a standby that reads the log a moment later than who was asked switches a moment later, at the same position
    await until('each replica to have switched', async () => {
      now = await inForce(instances[2])
      return [...now].every(([partition, { at }]) => at.every((place) => place !== before.get(partition)?.at[0]))
    })
    assert.equal(now.size, partitions)
    for (const [partition, places] of now) {
      assert.ok(places.replicas >= 2, `partition ${partition} is kept by ${places.replicas}`)
      assert.equal(new Set(places.at).size, 1, `partition ${partition}: ${places.at.join(', ')}`)
      assert.notEqual(places.at[0], before.get(partition)?.at[0])
    }
    assert.equal(new Set([...now.values()].map(({ at }) => at[0].split(' ')[0])).size, 1, 'one set of rules everywhere')
  })

  it('one that is frozen keeps nobody from a reload and a revocation, and is named; awake it has caught up', async () => {
    const [a, , c] = instances
    await post(a, 'tokens', { name: 'ci', role: 'viewer' })
    c.freeze()
    let revoked: { readonly unreached: readonly string[] }
    try {
      await reload(a, rules('job'))
      revoked = await post(a, 'tokens/ci/revoke', { why: 'it leaked' })
    } finally {
      c.thaw()
    }
    assert.deepEqual(revoked.unreached, ['c'])
    await until('the woken one to know', async () => {
      const { tokens } = await get<{ tokens: readonly { readonly state: string }[] }>(c, 'tokens')
      const hashes = new Set([...(await inForce(c)).values()].flatMap(({ at }) => at.map((one) => one.split(' ')[0])))
      return tokens.every(({ state }) => state === 'revoked') && hashes.size === 1
    })
  })

  it('brokers that take nothing are known to every instance, whether or not it owns', async () => {
    await instances[1].drain(true)
    await until('it to keep nothing', async () => (await instances[1].roles())?.states.size === 0)
    await rabbit.alarm(0, true)
    await until('all to say so', async () => {
      const answers = await Promise.all(instances.map((instance) => instance.request('/readyz')))
      return answers.every(({ status, text }) => status === 503 && /takes no records/.test(text))
    })
    await rabbit.alarm(0, false)
    await until('all to be ready', async () => (await Promise.all(instances.map(isReady))).every(Boolean))
    await instances[1].drain(false)
  })

  it('one with another secret is not ready and says why; the others go on, and name it; nor is one that has no store', async () => {
    const others = instances.slice()
    const stranger = await add('d', { secret: 'quite another secret than theirs' })
    const unplaced = await add('e', { store: 'consul://127.0.0.1:1' })
    await begin(stranger, unplaced)
    await until('it to say so', async () => {
      const { status, text } = await stranger.request('/readyz')
      return status === 503 && /the others do not know this instance .*cluster\.secret/.test(text)
    })
    assert.match(stranger.said, /the others do not know this instance/)
    for (const instance of others) {
      assert.ok(await isReady(instance))
      await until('it to be named', async () => /d cannot be asked/.test((await instance.request('/readyz')).text))
    }
    const { status, text } = await unplaced.request('/readyz')
    assert.equal(status, 503)
    assert.match(text, /waits for Consul at .*127\.0\.0\.1:1\b.* to say who is alive: no partition is kept here/)
  })

  /** Makes one that is not started yet. */
  async function add(name: string, more: Readonly<Record<string, unknown>> = {}): Promise<Instance> {
    const agents = consul.agents.map(({ url }) => url.replace('http', 'consul'))
    const store = agents[instances.length % agents.length]
    const cluster = { partitions, secret, store, brokers: rabbit.urls(vhost), ...more }
    const instance = await Instance.prepare({ program, name, rules: rules('job'), cluster, config: {} })
    instances.push(instance)
    return instance
  }

  /** Resolves when they listen. */
  async function begin(...some: readonly Instance[]): Promise<void> {
    for (const instance of some) instance.start()
    await Promise.all(some.map(({ daemon }) => daemon!.serving()))
  }

  async function isReady(instance: Instance): Promise<boolean> {
    return (await instance.request('/readyz')).status === 200
  }

  async function places(instance: Instance): Promise<readonly Places[]> {
    return (await get<{ partitions: readonly Places[] }>(instance, 'cluster')).partitions
  }

  /** An instance, and a cluster of hosts whose partition it does not keep. */
  async function outsider(): Promise<[Instance, string]> {
    const all = await places(instances[0])
    for (const instance of instances) {
      for (const { partition, owning, following } of all) {
        if ([...owning, ...following].includes(instance.name) || partition === partitionOf('web-1', partitions))
          continue
        for (let i = 0; ; i++) if (partitionOf(`shop-${i}`, partitions) === partition) return [instance, `shop-${i}`]
      }
    }
    return assert.fail(`everybody keeps everything: ${JSON.stringify(all)}`)
  }

  /** By partition, the rules that its replicas run, each as hash and position. */
  async function inForce(instance: Instance): Promise<Map<number, { replicas: number; at: string[] }>> {
    const found = new Map<number, { replicas: number; at: string[] }>()
    for (const { partitions: kept } of (await get<RulesOverview>(instance, 'rules')).instances) {
      for (const { partition, hash, offset } of kept) {
        const of = found.get(partition) ?? { replicas: 0, at: [] }
        found.set(partition, of)
        of.replicas++
        of.at.push(`${hash} at ${offset}`)
      }
    }
    return found
  }

  async function reload(instance: Instance, text: string): Promise<void> {
    instance.writeRules(text)
    assert.equal((await post<{ switched: boolean }>(instance, 'rules/reload', {})).switched, true)
  }

  async function get<Answer>({ ports }: Instance, path: string): Promise<Answer> {
    const { status, text, json } = await ask(`http://127.0.0.1:${ports.http}/api/v1/${path}`, { timeoutMs: 30_000 })
    assert.equal(status, 200, text)
    return json<Answer>()
  }

  async function post<Answer>({ ports }: Instance, path: string, body: unknown): Promise<Answer> {
    const url = `http://127.0.0.1:${ports.http}/api/v1/${path}`
    const headers = { 'content-type': 'application/json' }
    const { status, text, json } = await ask(url, { method: 'POST', headers, body, timeoutMs: 60_000 })
    assert.equal(status, 200, text)
    return json<Answer>()
  }

  /** Asks again and again: what processes of their own do is told by asking. */
  async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
    for (let asked = 0; !(await holds().catch(() => false)); asked++) {
      if (asked === 2_000) assert.fail(`waited in vain for ${what}\n${instances.map(({ said }) => said).join('\n')}`)
      await pause()
    }
  }
})
