/** How long a subscriber is told nothing when the owner of what it watches is killed. */
import { request, type ClientRequest, type IncomingMessage } from 'node:http'
import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import { Instance, type Roles } from '../faults/cluster/instance.ts'
import { RoamingProducer } from '../faults/cluster/roaming-producer.ts'
import { ConsulCluster } from '../servers/consul.ts'
import { RabbitCluster } from '../servers/rabbitmq.ts'
import { pause } from '../servers/wait.ts'
import { builtProgram } from './built.ts'
import { figuresOf, median, yardstickSamples, type Benchmark } from './measure.ts'

const vhost = 'takeover'
const rules = `import { index, rules } from 'ricci'
export default rules(index())
`
/** An event each time this has passed. */
const everyMs = 10
/** Told so many after the gap, the subscriber is served again. */
const afterwards = 50
const patienceMs = 120_000

export const benchmark: Benchmark = {
  about:
    'three instances, an event each 10 ms, its owner killed (kill -9): for how long who watches at another instance is told nothing',
  async run({ quick, tiny = false }) {
    const trials = tiny ? 1 : quick ? 3 : 30
    const [rabbit, consul] = await Promise.all([RabbitCluster.start(), ConsulCluster.start({ agents: 3 })])
    const instances: Instance[] = []
    let producer: RoamingProducer | undefined
    let timer: NodeJS.Timeout | undefined
    try {
      await rabbit.vhost(vhost)
      const agents = consul.agents.filter(({ server }) => !server)
      for (const [at, name] of ['a', 'b', 'c'].entries()) {
        const store = `${agents[at].url.replace('http', 'consul')}/${vhost}`
        const cluster = { brokers: rabbit.urls(vhost), store, partitions: 1, secret: 'of a benchmark only' }
        instances.push(await Instance.prepare({ program: builtProgram('ricci'), name, rules, cluster, config: {} }))
      }
      for (const instance of instances) instance.start()
      // what is sent before anybody takes it is sent to one after another, again and again: a burden that is not looked for here
      await placed(instances)
      const sending = new RoamingProducer(
        'probe',
        1,
        instances.map(({ ports }) => ports.tcp),
      )
      producer = sending
      timer = setInterval(() => {
        sending.send([{ host: 'probe', service: 'probe', time: Date.now() / 1000, ttl: 3_600 }])
        sending.look()
      }, everyMs)
      const gaps: number[] = []
      let [missing, twice, notices] = [0, 0, 0]
      for (let trial = 0; trial < trials; trial++) {
        const { owner, watched } = await placed(instances)
        const told = new Told(watched.ports.http)
        await told.more(afterwards)
        const killedMs = performance.now()
        await owner.kill()
        await told.until(() => told.last > killedMs && told.since(killedMs) >= afterwards)
        gaps.push(told.longest(killedMs))
        const counted = told.counted()
        missing += counted.missing
        twice += counted.twice
        notices += told.notices
        told.close()
        owner.start()
      }
      const row = [Math.min(...gaps), median(gaps), Math.max(...gaps)].map((ms) => ms.toFixed(0))
      return {
        figures: figuresOf(await yardstickSamples(tiny ? 1 : 5), []),
        tables: [
          {
            title: `milliseconds without an event, of ${trials} owners killed`,
            columns: ['min', 'median', 'max', 'events missing', 'of which it was told', 'told twice'],
            rows: [[...row, missing, `${notices} times`, twice]],
          },
        ],
      }
    } catch (error) {
      const said = instances.map((instance) => `${instance.name}: ${instance.said}`).join('\n')
      const { sent = 0, unacked, moves = 0, refusals } = producer ?? {}
      const sender = `of ${sent} events ${unacked?.size} are not acknowledged, after ${moves} changes of the instance`
      throw new Error(`${(error as Error).message}; ${sender}; refused: ${refusals?.join(', ')}\n${said}`)
    } finally {
      clearInterval(timer)
      await producer?.end()
      await Promise.all(instances.map((instance) => instance.close()))
      await Promise.all([rabbit.stop(), consul.stop()])
    }
  },
}

/** Resolves once one owns and another could take over at once; the third, who does neither, is where to watch, or the second. */
async function placed(
  instances: readonly Instance[],
): Promise<{ readonly owner: Instance; readonly watched: Instance }> {
  const deadlineMs = performance.now() + patienceMs
  for (;;) {
    const roles = await Promise.all(instances.map((instance) => instance.roles()))
    const does = (of: Roles | undefined, what: string): boolean => of?.states.get(0) === what
    const owner = roles.findIndex((of) => does(of, 'owning'))
    const second = roles.findIndex((of) => does(of, 'following'))
    const ready = roles.every((of) => of?.ready === true)
    if (owner >= 0 && second >= 0 && ready) {
      const third = instances.findIndex((_, at) => at !== owner && at !== second)
      return { owner: instances[owner], watched: instances[third] }
    }
    if (performance.now() > deadlineMs) throw new Error('nobody could take over in time')
    await pause(100)
  }
}

/** What a subscriber was told, and when. */
class Told {
  /** How often it was told that something is missing. */
  notices = 0
  private readonly metrics: number[] = []
  private readonly atMs: number[] = []
  private readonly request: ClientRequest
  private wake = (): void => undefined
  /** How it was answered, and how that ended. */
  private answered = 'not answered'

  constructor(port: number) {
    const query = encodeURIComponent('host = "probe"')
    this.request = request({ host: '127.0.0.1', port, path: `/api/v1/watch?query=${query}`, agent: false })
    this.request.on('error', () => undefined)
    this.request.end()
    void this.read()
  }

  /** When it was told something last. */
  get last(): number {
    return this.atMs.at(-1) ?? 0
  }

  since(ms: number): number {
    return this.atMs.filter((at) => at > ms).length
  }

  /** The longest time without an event that ended after a moment. */
  longest(afterMs: number): number {
    let longest = 0
    for (let at = 1; at < this.atMs.length; at++)
      if (this.atMs[at] > afterMs) longest = Math.max(longest, this.atMs[at] - this.atMs[at - 1])
    return longest
  }

  counted(): { readonly missing: number; readonly twice: number } {
    const seen = new Set(this.metrics)
    const [first, last] = [Math.min(...seen), Math.max(...seen)]
    return { missing: last - first + 1 - seen.size, twice: this.metrics.length - seen.size }
  }

  async more(count: number): Promise<void> {
    const enough = this.metrics.length + count
    await this.until(() => this.metrics.length >= enough)
  }

  async until(isSo: () => boolean): Promise<void> {
    const deadline = setTimeout(() => this.wake(), patienceMs)
    const endMs = performance.now() + patienceMs
    try {
      while (!isSo()) {
        if (performance.now() >= endMs)
          throw new Error(
            `a subscriber (${this.answered}) was told ${this.metrics.length} events and ${this.notices} notices, and no more`,
          )
        await new Promise<void>((resolve) => (this.wake = resolve))
      }
    } finally {
      clearTimeout(deadline)
    }
  }

  close(): void {
    this.request.destroy()
  }

  private async read(): Promise<void> {
    const [answer] = (await once(this.request, 'response')) as [IncomingMessage]
    this.answered = `answered ${answer.statusCode}`
    let text = ''
    answer.setEncoding('utf8')
    answer.on('error', () => undefined)
    answer.on('close', () => (this.answered += `, ended after ${JSON.stringify(text)}`))
    answer.on('data', (part: string) => {
      text += part
      const lines = text.split('\n')
      text = lines.pop()!
      const now = performance.now()
      for (const line of lines) {
        const { metric, service } = (line === '' ? {} : JSON.parse(line)) as { metric?: number; service?: string }
        if (service === 'ricci watch') this.notices++
        if (service !== 'probe') continue
        this.metrics.push(metric!)
        this.atMs.push(now)
      }
      this.wake()
    })
  }
}
