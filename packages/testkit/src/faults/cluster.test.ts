// Three servers over three RabbitMQ brokers and Consul: any of them takes events and answers, one owns, and when it is killed or frozen another
// pages what is to be paged, once.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { RiemannTcpClient, type Event } from '@ricci/client'
import { SeededRandom } from '../random.ts'
import { ConsulCluster } from '../servers/consul.ts'
import { ask } from '../servers/http.ts'
import { without } from '../servers/program.ts'
import { RabbitCluster } from '../servers/rabbitmq.ts'
import { pause } from '../servers/wait.ts'
import { Daemon, type Ports } from './daemon.ts'
import { Pager } from './pager.ts'

const program = fileURLToPath(new URL('../../../../ricci.mjs', import.meta.url))
const vhost = 'ricci'
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
  readonly partitions: readonly { readonly replica: { readonly state: string } }[]
  readonly log: { readonly id: string }
}

/** Of the one partition. */
const stateOf = ({ partitions: [only] }: Status): string => only.replica.state

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
          partitions: 1,
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

  it('begins as one: a single log, a single owner, and the others stand by, ready', async () => {
    const owner = await theOwner()
    await until('all to be ready', async () => (await Promise.all(instances.map(status))).every(({ ready }) => ready))
    const states = await Promise.all(instances.map(status))
    assert.equal(new Set(states.map(({ log }) => log.id)).size, 1)
    const expected = instances.map((instance) => (instance === owner ? 'owning' : 'following'))
    assert.deepEqual(states.map(stateOf), expected)
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

  it('kill -9 of the owner with a page under way: another goes on, nothing is lost, nothing doubled', async () => {
    const owner = await theOwner()
    const held = pager.hold(({ host }) => host === 'two')
    const [other, third] = instances.filter((instance) => instance !== owner)
    await send(other, { host: 'two', service: 'job', tags: ['job'], state: 'critical', ttl: 3_600 })
    await held
    await owner.daemon.kill()
    await send(third, { host: 'one', service: 'job', tags: ['job'], state: 'ok', ttl: 3_600 })
    await Promise.all([effect('trigger', 'two'), effect('resolve', 'one')])
    assert.notEqual(await theOwner(), owner)
    owner.daemon = serve(owner.folder)
    await serving(owner)
    await until('it to stand by', async () => stateOf(await status(owner)) === 'following')
  })

  it('a frozen owner: another goes on, and the woken one stands by without a word to anybody', async () => {
    const owner = await theOwner()
    const [other] = instances.filter((instance) => instance !== owner)
    process.kill(owner.daemon.pid, 'SIGSTOP')
    try {
      await send(other, { host: 'three', service: 'job', tags: ['job'], state: 'critical', ttl: 3_600 })
      await effect('trigger', 'three')
    } finally {
      process.kill(owner.daemon.pid, 'SIGCONT')
    }
    await until('it to stand by', async () => stateOf(await status(owner)) === 'following')
    await send(owner, { host: 'two', service: 'job', tags: ['job'], state: 'ok', ttl: 3_600 })
    await effect('resolve', 'two')
  })

  it('a planned end of the owner, and a broker that is killed meanwhile', async () => {
    const owner = await theOwner()
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

  /** Resolves with the one that owns. */
  async function theOwner(): Promise<Instance> {
    let owner: Instance | undefined
    await until('an owner', async () => {
      for (const instance of instances) {
        const found = await status(instance).catch(() => undefined)
        if (found !== undefined && stateOf(found) === 'owning') owner = instance
      }
      return owner !== undefined
    })
    return owner!
  }

  async function effect(action: string, host: string): Promise<void> {
    while (!pager.has(action, 'job-failed', host)) await pager.next()
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
