/**
 * kill -9, again and again, under load. Each life of the daemon ends at a moment that is seen from outside: an ack that arrived, a
 * request that the receiver holds open, an answer that has just left. Then the log, the receiver, the producer and the script are
 * asked what became of it.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, watch, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RiemannUdpClient } from '@ricci/client'
import { SeededRandom } from '../random.ts'
import { Daemon, type Ports } from './daemon.ts'
import { readEvidence } from './evidence.ts'
import { Fleet, fleetRules, jobRule, silentRule, ttlSeconds } from './fleet.ts'
import { Pager } from './pager.ts'
import { Producer } from './producer.ts'
import { verdicts } from './verdict.ts'

/** When a life ends. */
const moments = {
  acks: 'some more messages were acknowledged',
  opening: 'a trigger is held open by the receiver',
  decided: 'a failed job was acknowledged, its page just decided',
  answered: 'the answer to a trigger has just left the receiver, its outcome is hardly written',
  silence: 'the trigger of a silent host is held open',
  starting: 'the data folder was first touched: the log is being recovered',
  closing: 'a resolve is held open by the receiver',
  serving: 'the log line that it serves, nobody is connected yet',
  unheard: 'a trigger is held open by the receiver; no ack of this life arrived, all is sent again',
  switching: 'the rules were just told to be loaded anew',
  switched: 'the log line that the rules were switched',
  restored: 'a trigger is held open in the life after a clean stop, which began from a snapshot',
  outage: 'as acks; and then nobody keeps the log for longer than any ttl',
} as const
type Moment = keyof typeof moments

/** In turn; 12 of these 19 are moments with a send open or a page decided and not settled. */
const plan: readonly Moment[] = [
  ...(['acks', 'opening', 'decided', 'answered', 'unheard', 'opening', 'starting', 'silence', 'closing'] as const),
  ...(['switching', 'switched', 'restored'] as const),
  ...(['decided', 'serving', 'opening', 'outage', 'silence', 'answered', 'closing'] as const),
]

/** Hosts that talk all the time: 100 messages of 10 events a second let each speak 25 times a second. */
const talkers = 40
const beatMs = 10
/** Nothing that is waited for takes longer: a start, a page's second attempt (11 s after a claim) and a loaded machine included. */
const patienceMs = 90_000
/** A producer that was itself stopped for so long has made hosts silent that its script calls talking. */
const longestPauseMs = ttlSeconds * 600
/** The log goes unkept for longer than any host may be silent. */
const outageMs = ttlSeconds * 1_000 + 1_500
/** Every so many beats a datagram goes out. */
const beatsPerDatagram = 5

export interface KillsOptions {
  /** Path of the built `ricci.mjs`. */
  readonly program: string
  readonly kills: number
  readonly seed: number
  readonly report?: (line: string) => void
}

/** Whatever was counted; and what is wrong, in sentences. */
export interface KillsResult {
  readonly kills: number
  /** Kills with a request held by the receiver. */
  readonly sendOpen: number
  /** Kills with a page decided (its event acknowledged) that the receiver had not answered. */
  readonly pagePending: number
  /** Kills with either. */
  readonly during: number
  readonly counts: Readonly<Record<string, number>>
  readonly wrong: readonly string[]
}

/** Runs the daemon, kills it `kills` times, lets it come to rest, and judges. */
export async function runKills(options: KillsOptions): Promise<KillsResult> {
  const run = await KillRun.prepare(options)
  try {
    return await run.run()
  } finally {
    await run.close()
  }
}

class KillRun {
  private readonly producer = new Producer('load')
  private readonly fleet: Fleet
  private daemon: Daemon | undefined
  private datagrams: RiemannUdpClient | undefined
  /** Which edition of the rules lies in the folder. */
  private edition = 0
  /** Whether there was a snapshot to begin this life from. */
  private fromSnapshot = false
  private beats: NodeJS.Timeout | undefined
  private lastBeatMs = 0
  private longestMs = 0
  private readonly tally = { kills: 0, sendOpen: 0, pagePending: 0, during: 0, afterSnapshot: 0 }
  /** Jobs that were acknowledged as failed and whose trigger the receiver has not answered. */
  private readonly owed = new Set<string>()

  private constructor(
    private readonly options: KillsOptions,
    private readonly folder: string,
    private readonly pager: Pager,
    private readonly chat: Pager,
    private readonly random: SeededRandom,
  ) {
    this.fleet = new Fleet(talkers, options.kills)
  }

  static async prepare(options: KillsOptions): Promise<KillRun> {
    const random = new SeededRandom(options.seed)
    const folder = mkdtempSync(join(tmpdir(), 'ricci-kills-'))
    const pager = await Pager.start(random.fork('pager'), 'A')
    const chat = await Pager.start(random.fork('chat'), 'C')
    mkdirSync(join(folder, 'data'))
    mkdirSync(join(folder, 'rules'))
    writeFileSync(join(folder, 'rules', 'index.ts'), fleetRules(0))
    writeFileSync(
      join(folder, 'ricci.yaml'),
      JSON.stringify({
        instance: 'killed',
        data: 'data',
        listen: { tcp: '127.0.0.1:0', udp: '127.0.0.1:0', http: '127.0.0.1:0' },
        receivers: {
          pager: { type: 'webhook', url: pager.url },
          chat: { type: 'webhook', url: chat.url, class: 'C' },
        },
        engine: { grace: '2s' },
      }),
    )
    return new KillRun(options, folder, pager, chat, random)
  }

  async run(): Promise<KillsResult> {
    const { kills, report } = this.options
    const beganMs = performance.now()
    for (let i = 0; i < kills; i++) {
      const moment = plan[i % plan.length]
      if (moment === 'restored') await this.liveAndStop()
      await this.live(moment)
      if (i % 2 === 0) this.fleet.silence()
      const seconds = ((performance.now() - beganMs) / 1_000).toFixed(1)
      report?.(`${seconds} s: kill ${i + 1} of ${kills}: ${moments[moment]}`)
      // Real time is the subject: the daemon must not take its own absence for silence of the hosts, so it has to last.
      if (moment === 'outage') await new Promise((resolve) => setTimeout(resolve, outageMs))
    }
    await this.comeToRest()
    return this.judge()
  }

  async close(): Promise<void> {
    this.fallQuiet()
    await this.producer.disconnect()
    await this.daemon?.kill()
    await this.pager.close()
    await this.chat.close()
    await this.datagrams?.close()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** One life, from its start to its kill. */
  private async live(moment: Moment): Promise<void> {
    const daemon = this.start()
    if (moment === 'starting') await this.within(this.folderTouched(), moment)
    else {
      const ports = await this.within(daemon.serving(), moment)
      if (moment !== 'serving') {
        this.producer.deaf = moment === 'unheard'
        this.talk(ports)
        await this.within(this.until(moment), moment)
      }
    }
    this.count(daemon)
    const { signal } = await daemon.kill()
    if (signal !== 'SIGKILL')
      throw new Error(`the daemon ended by itself before its kill:\n${daemon.text.slice(-2_000)}`)
    this.fallQuiet()
    await this.producer.disconnect()
    this.producer.deaf = false
  }

  /** A life that ends as an operator ends it, leaving a snapshot: what follows begins from there. */
  private async liveAndStop(): Promise<void> {
    const daemon = this.start()
    const ports = await this.within(daemon.serving(), 'clean stop')
    this.talk(ports)
    await this.within(this.told(), 'clean stop')
    this.fallQuiet()
    const { code } = await this.within(daemon.stop(), 'rest')
    if (code !== 0) throw new Error(`the daemon did not stop cleanly (${code}):\n${daemon.text.slice(-2_000)}`)
    await this.producer.disconnect()
  }

  private start(): Daemon {
    this.fromSnapshot = snapshotsIn(this.folder)
    return (this.daemon = new Daemon(this.options.program, [
      ...['serve', '--config', join(this.folder, 'ricci.yaml'), '--log-format', 'json'],
    ]))
  }

  /** Resolves at the moment. */
  private async until(moment: Moment): Promise<void> {
    const { pager, producer, fleet } = this
    switch (moment) {
      case 'acks':
      case 'outage':
        producer.send([fleet.fail('stays').event])
        return producer.untilMore(10 + this.random.below(100))
      case 'decided':
        // a first page that is answered shows that this life owns
        await this.told()
        return producer.untilAcked(this.fail().sequence)
      case 'unheard':
      case 'restored':
      case 'opening': {
        const { host } = this.fail()
        await pager.hold((request) => request.host === host)
        return
      }
      case 'answered':
        return this.told()
      case 'closing': {
        const { host } = this.fail('recovers')
        const held = pager.hold((request) => request.host === host && request.action === 'resolve')
        await pager.answered((request) => request.host === host)
        if (!fleet.isOver(host)) producer.send([fleet.recover(host)])
        await held
        return
      }
      case 'switching':
        this.switchRules()
        return producer.untilMore(this.random.below(60))
      case 'switched':
        this.switchRules()
        return void (await this.daemon!.logged(/^the rules were switched/))
      case 'silence':
        return this.untilMissed()
      default:
        throw new Error(`${moment} is no moment of a life under load`)
    }
  }

  /** The folder's rules change, and the daemon is told. */
  private switchRules(): void {
    writeFileSync(join(this.folder, 'rules', 'index.ts'), fleetRules(++this.edition))
    this.daemon!.reload()
  }

  /** A job fails; resolves when the receiver has answered its trigger. */
  private told(): Promise<void> {
    const { host } = this.fail()
    return this.pager.answered((request) => request.host === host)
  }

  /** Resolves when the trigger of a silent host is held open; whenever all of them have had their effect, one more falls silent. */
  private async untilMissed(): Promise<void> {
    const { pager, fleet } = this
    let held = false
    void pager.hold((request) => request.rule === silentRule && request.action === 'trigger').then(() => (held = true))
    while (!held) {
      if (!fleet.somebodyIsMissed(pager.effects)) fleet.silence()
      await pager.next()
    }
  }

  /** A job fails, and one more blinks: both pages are decided at nearly the same time. */
  private fail(kind = this.random.below(2) === 0 ? ('stays' as const) : ('recovers' as const)): {
    host: string
    sequence: number
  } {
    const { producer, fleet, pager, owed } = this
    const { host, event } = fleet.fail(kind)
    const blink = fleet.fail('blinks')
    producer.send([blink.event])
    const sequence = producer.send([event])
    producer.send([fleet.recover(blink.host)])
    producer.send([fleet.note()])
    void producer.untilAcked(sequence).then(async () => {
      owed.add(host)
      const isAnswered = (): boolean =>
        pager.requests.some((request) => request.host === host && request.status === 200 && request.rule === jobRule)
      while (!isAnswered()) await pager.next()
      owed.delete(host)
    })
    return { host, sequence }
  }

  /** Load, from now on. */
  private talk({ tcp, udp }: Ports): void {
    const { producer, fleet, pager } = this
    producer.connect(tcp)
    const datagrams = new RiemannUdpClient({ port: udp })
    this.datagrams = datagrams
    let beats = 0
    producer.send(fleet.everyone())
    this.lastBeatMs = performance.now()
    this.beats = setInterval(() => {
      const nowMs = performance.now()
      this.longestMs = Math.max(this.longestMs, nowMs - this.lastBeatMs)
      this.lastBeatMs = nowMs
      producer.send(fleet.beat())
      for (const event of fleet.afterPages(pager.effects)) producer.send([event])
      if (++beats % beatsPerDatagram === 0) datagrams.send(fleet.datagram()).catch(() => undefined)
    }, beatMs)
  }

  private fallQuiet(): void {
    clearInterval(this.beats)
    void this.datagrams?.close()
    this.datagrams = undefined
  }

  private count(daemon: Daemon): void {
    const { tally, pager, chat, owed } = this
    const open = pager.open + chat.open > 0
    tally.kills++
    if (open) tally.sendOpen++
    if (owed.size > 0) tally.pagePending++
    if (open || owed.size > 0) tally.during++
    if (this.fromSnapshot && !/passed over|cannot be fetched/.test(daemon.text)) tally.afterSnapshot++
  }

  /** A last life without a kill: everything that must be told is, and nothing waits any more. */
  private async comeToRest(): Promise<void> {
    const { pager, chat, producer, fleet } = this
    const daemon = this.start()
    const ports = await this.within(daemon.serving(), 'rest')
    const { http } = ports
    this.talk(ports)
    const rest = async (): Promise<void> => {
      for (;;) {
        // a query is answered from all that was in the log when it arrived: before that, not every page may be known
        const { status } = await fetch(`http://127.0.0.1:${http}/api/v1/query?query=false`)
        const answer = await fetch(`http://127.0.0.1:${http}/api/v1/incidents`)
        const { pages, cursor } = (await answer.json()) as { pages?: unknown[]; cursor?: string }
        const waiting = pages === undefined || pages.length > 0 || cursor !== undefined
        const missing = [...fleet.missing(pager.effects), ...fleet.untold(chat.effects)]
        if (status === 200 && !waiting && fleet.atRest && missing.length === 0) return
        // asked again when something more was taken in; the talk goes on, so something is
        await producer.next()
      }
    }
    // what did not come within this time is told by the verdict, each by its name
    await this.within(rest(), 'rest').catch((error: Error) => this.options.report?.(error.message))
    this.fallQuiet()
    await this.within(producer.untilSettled(), 'rest').catch((error: Error) => this.options.report?.(error.message))
    const { code } = await this.within(daemon.stop(), 'rest')
    if (code !== 0) throw new Error(`the daemon did not stop cleanly (${code}):\n${daemon.text.slice(-2_000)}`)
    await producer.disconnect()
  }

  private async judge(): Promise<KillsResult> {
    const { pager, chat, producer, fleet, tally } = this
    const evidence = await readEvidence(join(this.folder, 'data'))
    const wrong = verdicts(evidence, pager, chat, producer, fleet)
    if (this.longestMs > longestPauseMs) {
      wrong.unshift(
        `the producer itself stood still for ${Math.round(this.longestMs)} ms: hosts were silent that its script calls talking. Run it again on a machine that is less busy`,
      )
    }
    const { steady, silenced, jobs } = fleet.counts
    const ended = [...evidence.settled.values()]
    const counts = {
      'messages acknowledged': producer.acked.size,
      'messages sent again': producer.resent,
      'messages in the log more than once': evidence.repeated,
      'datagrams applied': [...evidence.applied.keys()].filter((metric) => metric < 0).length,
      'switches of the rules': evidence.switches,
      'kills of a life that began from a snapshot': tally.afterSnapshot,
      'events applied': [...evidence.applied.values()].reduce((sum, events) => sum + events, 0),
      'records in the log': evidence.records,
      'lives that owned': evidence.claims,
      'pages decided': evidence.decided.size,
      'pages delivered': ended.filter((result) => result === 'delivered').length,
      'pages overtaken': ended.filter((result) => result === 'overtaken').length,
      'pages pending at the end': evidence.pending.size,
      'requests at the receiver': pager.requests.length,
      'requests at the blind receiver': chat.requests.length,
      'possible repeats there': chat.requests.filter(({ possibleRepeat }) => possibleRepeat).length,
      'requests under a key that had taken effect': pager.repeats,
      'hosts that fell silent': silenced,
      'hosts that did not': steady,
      'jobs that failed': jobs,
      'checkpoints compared': evidence.checkpoints,
      'whole states compared': evidence.states,
    }
    return { ...tally, counts, wrong }
  }

  private folderTouched(): Promise<void> {
    return new Promise((resolve) => {
      const watcher = watch(join(this.folder, 'data'), () => {
        watcher.close()
        resolve()
      })
    })
  }

  /** Nothing is waited for without end; and not at all once the daemon is gone. */
  private async within<T>(promise: Promise<T>, what: string): Promise<T> {
    const daemon = this.daemon!
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      const words = (): string => `${daemon.text.slice(-2_000)}\n${this.producer.lostAt ?? ''}`
      timer = setTimeout(() => reject(new Error(`${what}: nothing for ${patienceMs} ms. ${words()}`)), patienceMs)
      if (what === 'rest') return
      void daemon.exited.then(() => reject(new Error(`${what}: the daemon ended by itself. ${words()}`)))
    })
    // a daemon that is killed later rejects what nobody waits for any more
    late.catch(() => undefined)
    try {
      return await Promise.race([promise, late])
    } finally {
      clearTimeout(timer)
    }
  }
}

/** Whether a life that begins now finds a snapshot. */
function snapshotsIn(folder: string): boolean {
  const snapshots = join(folder, 'data', 'snapshots')
  return existsSync(snapshots) && readdirSync(snapshots).some((name) => name.endsWith('.snapshot'))
}

/** The result for people. */
export function killsText({ kills, sendOpen, pagePending, during, counts, wrong }: KillsResult): string {
  const lines = [
    `${kills} kills: ${during} with a page pending or a send open (${pagePending} and ${sendOpen})`,
    ...Object.entries(counts).map(([name, value]) => `  ${String(value).padStart(7)} ${name}`),
    ...wrong.slice(0, 20).map((text) => `  WRONG ${text}`),
    ...(wrong.length > 20 ? [`  and ${wrong.length - 20} more`] : []),
  ]
  return lines.join('\n')
}
