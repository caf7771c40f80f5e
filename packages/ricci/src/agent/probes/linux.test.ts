import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import type { Measurement, Probe } from '../probe.ts'
import { kernel } from './kernel.ts'
import { conntrack, fileDescriptors } from './limits.ts'
import { links } from './links.ts'
import { paging } from './paging.ts'
import { pressure } from './pressure.ts'
import { type ProcessTable, thisProcessTable } from './process-table.ts'
import { processes } from './processes.ts'
import { listening, protocols, sockets, sockets6 } from './sockets.ts'
import { tcpStates } from './tcp-states.ts'
import type { Machine } from '../sampler.ts'

/** Recorded on a machine with two CPUs, two seconds apart. */
const recorded = (name: string) => readFileSync(`packages/ricci/src/agent/fixtures/${name}`, 'utf8')

const metrics = (measurements: readonly Measurement[]) =>
  Object.fromEntries(measurements.map(({ service, metric }) => [service, Number(metric.toFixed(4))]))

const first = (probe: Probe, ...texts: string[]) => probe.measure(texts, undefined, 0)

/** A machine with these files and no others. */
function machineWith(files: Readonly<Record<string, string>>): Machine & { readonly read: Machine['read'] } {
  return {
    read: (file) => (file in files ? Promise.resolve(files[file]) : Promise.reject(new Error(`no ${file}`))),
    fileSystem: () => Promise.reject(new Error('no mount was named')),
    patience: () => ({ over: Promise.resolve(), end: () => undefined }),
  }
}

describe('pressure', () => {
  const [cpu, , io, irq] = pressure

  test('recorded: shares of the time between two samples', () => {
    assert.deepEqual(first(io, recorded('pressure-io.1')), [])
    assert.deepEqual(Object.keys(metrics(io.measure([recorded('pressure-io.2')], [recorded('pressure-io.1')], 2))), [
      'pressure.io',
      'pressure.io.full',
    ])
  })

  test('of CPUs only some, of interrupts only full; never more than all the time', () => {
    const text = (kind: string, total: number) => `${kind} avg10=0.00 avg60=0.00 avg300=0.00 total=${total}\n`
    const both = (total: number) => text('some', total) + text('full', total / 2)
    assert.deepEqual(metrics(cpu.measure([both(1_500_000)], [both(500_000)], 4)), { 'pressure.cpu': 0.25 })
    assert.deepEqual(metrics(irq.measure([text('full', 9_000_000)], [text('full', 0)], 1)), { 'pressure.irq.full': 1 })
  })
})

describe('kernel', () => {
  test('recorded, and rates', () => {
    assert.deepEqual(metrics(first(kernel, recorded('stat.1'))), { 'processes.running': 10, 'processes.blocked': 0 })
    const stat = (n: number) =>
      `cpu  1 1 1 1\nintr ${n} 0 5 0\nctxt ${2 * n}\nbtime 1\nprocesses ${3 * n}\nprocs_running 4\nprocs_blocked 1\n`
    assert.deepEqual(metrics(kernel.measure([stat(1_100)], [stat(1_000)], 10)), {
      'kernel.interrupts': 10,
      'kernel.context-switches': 20,
      'kernel.forks': 30,
      'processes.running': 4,
      'processes.blocked': 1,
    })
  })

  test('paging: recorded, and processes that the kernel ended', () => {
    const measured = metrics(paging.measure([recorded('vmstat.2')], [recorded('vmstat.1')], 2))
    assert.deepEqual(Object.keys(measured), ['swap.in', 'swap.out', 'page-faults', 'page-faults.major', 'oom-kills'])
    assert.ok(measured['page-faults'] > 0)
    const vmstat = (kills: number) => `pswpin 0\npswpout ${kills}\npgfault 0\npgmajfault 0\noom_kill ${kills}\n`
    assert.equal(metrics(paging.measure([vmstat(7)], [vmstat(4)], 2))['oom-kills'], 3)
    assert.equal(metrics(paging.measure([vmstat(8)], [vmstat(4)], 2))['swap.out'], 2)
    assert.deepEqual(first(paging, vmstat(7)), [])
    // a kernel before 4.13 does not count them
    assert.deepEqual(metrics(paging.measure(['pswpin 4\n'], ['pswpin 0\n'], 2)), { 'swap.in': 2 })
  })
})

describe('sockets', () => {
  test('recorded', () => {
    const measured = metrics(protocols.measure([recorded('snmp.2')], [recorded('snmp.1')], 2))
    assert.equal(Object.keys(measured).length, 14)
    assert.equal(measured['tcp.established'], 74)
    assert.deepEqual(Object.keys(metrics(first(protocols, recorded('snmp.1')))), ['tcp.established'])
    assert.deepEqual(metrics(listening.measure([recorded('netstat.2')], [recorded('netstat.1')], 2)), {
      'tcp.listen.overflows': 0,
      'tcp.listen.drops': 0,
    })
    assert.deepEqual(Object.keys(metrics(first(sockets, recorded('sockstat.1')))), [
      ...['sockets', 'tcp.sockets', 'tcp.orphans', 'tcp.time-wait', 'udp.sockets'],
    ])
    assert.deepEqual(metrics(first(sockets6, 'TCP6: inuse 3\nUDP6: inuse 1\n')), {
      'tcp6.sockets': 3,
      'udp6.sockets': 1,
    })
  })

  test('a group whose names and figures do not stand together is left out', () => {
    const snmp = (n: number) => `Ip: A\nTcp: CurrEstab OutSegs RetransSegs\nTcp: 5 ${n} ${n}\nTcp: broken\n`
    assert.deepEqual(metrics(first(protocols, snmp(1))), {})
    const good = (n: number) => `Tcp: CurrEstab OutSegs RetransSegs\nTcp: 5 ${10 * n} ${n}\n`
    assert.deepEqual(metrics(protocols.measure([good(4)], [good(2)], 2)), {
      'tcp.established': 5,
      'tcp.out.segments': 10,
      'tcp.retransmitted': 1,
    })
  })

  test('states, of both versions of IP; none where there are too many sockets to read', async () => {
    const files = { 'net/sockstat': recorded('sockstat.1'), 'net/tcp': recorded('tcp.1'), 'net/tcp6': '' }
    const measured = metrics(await tcpStates.measure(machineWith(files), 0))
    assert.equal(Object.keys(measured).length, 11)
    const lines = recorded('tcp.1').split('\n').length - 2
    assert.equal(
      Object.values(measured).reduce((sum, n) => sum + n),
      lines,
    )
    const line = (state: string) =>
      `   0: 0100007F:0016 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000\n`
    const two = { ...files, 'net/tcp': line('0A') + line('06'), 'net/tcp6': line('0A') }
    const { 'tcp.state.listen': listen, 'tcp.state.time-wait': wait } = metrics(
      await tcpStates.measure(machineWith(two), 0),
    )
    assert.deepEqual([listen, wait], [2, 1])
    const many = { ...files, 'net/sockstat': 'TCP: inuse 3000 orphan 0 tw 3000 alloc 9 mem 1\n' }
    assert.deepEqual(await tcpStates.measure(machineWith(many), 0), [])
    assert.deepEqual(await tcpStates.measure(machineWith({}), 0), [])
  })
})

describe('limits', () => {
  test('file descriptors', () => {
    const measured = first(fileDescriptors, '1595\t0\t2466177\n')
    assert.deepEqual(metrics(measured), { fd: 0.0006, 'fd.open': 1_595 })
    assert.equal(measured[0].state, 'ok')
    assert.equal(first(fileDescriptors, '960 10 1000\n')[0].description, '95 %: 950 of 1000 open')
    assert.throws(() => first(fileDescriptors, 'nonsense'), /not three numbers/)
  })

  test('tracked connections', () => {
    const measured = first(conntrack, '250000\n', '262144\n')
    assert.deepEqual(metrics(measured), { conntrack: 0.9537, 'conntrack.used': 250_000 })
    assert.equal(measured[0].state, 'critical')
    assert.throws(() => first(conntrack, '1', ''), /no number above 0/)
  })
})

describe('links', () => {
  const line = (name: string, n: number) => `${name}: ${n} 1 0 0 0 0 0 0 ${n} 1 0 0 0 0 0 0\n`

  test('up, down, unknown; interfaces that never carried anything are left out', async () => {
    const at = (name: string, file: string) => `../sys/class/net/${name}/${file}`
    const machine = machineWith({
      'net/dev': line('lo', 5) + line('eth0', 5) + line('eth1', 5) + line('eth2', 0) + line('wg0', 5),
      [at('eth0', 'operstate')]: 'up\n',
      [at('eth0', 'speed')]: '10000\n',
      [at('eth1', 'operstate')]: 'lowerlayerdown\n',
      [at('eth1', 'speed')]: '-1\n',
      [at('wg0', 'operstate')]: 'unknown\n',
    })
    assert.deepEqual(await links.measure(machine, 0), [
      { service: 'net.eth0.up', metric: 1, state: 'ok' },
      { service: 'net.eth0.speed', metric: 10e9 },
      { service: 'net.eth1.up', metric: 0, state: 'warning', description: 'the link is down' },
    ])
    assert.deepEqual(await links.measure(machineWith({}), 0), [])
  })
})

/** Processes of a script: a text for each number. */
class Table implements ProcessTable {
  readonly units = { pageBytes: 4_096, ticksPerSecond: 100 }
  constructor(public stats: Record<number, string | undefined>) {}
  pids(): number[] {
    return Object.keys(this.stats).map(Number)
  }
  stat(pid: number): string | undefined {
    return this.stats[pid]
  }
}

const stat = (pid: number, name: string, state: string, ticks: number, started: number, pages: number) =>
  `${pid} (${name}) ${state} 1 1 1 0 -1 4194304 98 0 0 0 ${ticks} ${ticks} 0 0 20 0 1 0 ${started} 3133440 ${pages} 18446744073709551615 1 1\n`

describe('processes', () => {
  const none = machineWith({})

  test('by name: how many, their share of the CPUs, their memory; and those nobody waited for', async () => {
    const table = new Table({
      1: stat(1, 'systemd', 'S', 5, 1, 10),
      20: stat(20, 'nginx', 'S', 100, 50, 1_000),
      21: stat(21, 'nginx', 'R', 0, 51, 500),
      30: stat(30, 'a) (b', 'Z', 0, 60, 0),
      31: undefined,
    })
    const survey = processes(['nginx', 'postgres', 'a) (b'], table)
    assert.deepEqual(metrics(await survey.measure(none, 10_000)), {
      'processes.zombie': 1,
      'process nginx': 2,
      'process nginx memory': 1_500 * 4_096,
      'process postgres': 0,
      'process postgres memory': 0,
      'process a) (b': 0,
      'process a) (b memory': 0,
    })
    table.stats = {
      20: stat(20, 'nginx', 'S', 150, 50, 1_000),
      // the number of one that ended, given to another: all it used is new
      21: stat(21, 'nginx', 'R', 25, 999, 500),
      30: stat(30, 'a) (b', 'S', 7, 70, 1),
    }
    const measured = await survey.measure(none, 12_000)
    const { 'process nginx cpu': cpu, 'process postgres cpu': idle, 'processes.zombie': zombies } = metrics(measured)
    assert.deepEqual([cpu, idle, zombies], [0.75, 0, 0])
    assert.equal(metrics(measured)['process a) (b'], 1)
    const of = (service: string) => measured.find((one) => one.service === service)
    assert.equal(of('process nginx')?.state, 'ok')
    assert.equal(of('process nginx')?.description, '2, 5.9 MiB')
    assert.equal(of('process postgres')?.state, 'critical')
    assert.equal(of('process postgres')?.description, 'no process is called postgres')
  })

  test('the kernel keeps fifteen bytes of a name, and so is it found', async () => {
    const survey = processes(['prometheus-node-exporter'], new Table({ 1: stat(1, 'prometheus-node', 'S', 0, 1, 1) }))
    assert.equal(metrics(await survey.measure(none, 0))['process prometheus-node-exporter'], 1)
  })

  test('more than the bound: the first ones are counted, and it is said', async () => {
    const table = new Table({})
    table.pids = () => Array.from({ length: 40_000 }, (_, i) => i)
    let read = 0
    table.stat = (pid) => (read++, stat(pid, 'x', 'Z', 0, 1, 1))
    const [zombies] = await processes([], table).measure(none, 0)
    assert.equal(read, 32_768)
    assert.deepEqual(zombies, {
      service: 'processes.zombie',
      metric: 32_768,
      description: 'of the first 32768 of 40000 processes',
    })
  })

  test('this machine: this very process is found', async (t) => {
    if (process.platform !== 'linux') return t.skip('needs /proc')
    const name = readFileSync('/proc/self/comm', 'utf8').trim()
    const survey = processes([name], thisProcessTable)
    const measured = metrics(await survey.measure(none, 0))
    assert.ok(measured[`process ${name}`] >= 1)
    assert.ok(measured[`process ${name} memory`] > 10e6, 'pages are counted as bytes')
    assert.ok(thisProcessTable.units.ticksPerSecond >= 100)
    assert.equal(thisProcessTable.stat(2 ** 30), undefined)
  })
})
