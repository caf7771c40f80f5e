import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { bytesText, type Measurement, perSecond, type Probe, stateOf } from './probe.ts'
import { cpu } from './probes/cpu.ts'
import { diskIo } from './probes/disk-io.ts'
import { diskSpace, mountsOf, readOnly } from './probes/disk-space.ts'
import { load } from './probes/load.ts'
import { memory } from './probes/memory.ts'
import { network } from './probes/network.ts'
import { uptime } from './probes/uptime.ts'

/** Recorded on a machine with two CPUs, two seconds apart. */
const recorded = (name: string) => readFileSync(`packages/ricci/src/agent/fixtures/${name}`, 'utf8')

/** Service and metric, for comparing. */
const metrics = (measurements: readonly Measurement[]) =>
  Object.fromEntries(measurements.map(({ service, metric }) => [service, Number(metric.toFixed(4))]))

const first = (probe: Probe, ...texts: string[]) => probe.measure(texts, undefined, 0)

describe('cpu', () => {
  test('recorded: shares of all and of each', () => {
    const measured = cpu.measure([recorded('stat.2')], [recorded('stat.1')], 2)
    assert.equal(measured.length, 30)
    const { 'cpu.user': user, 'cpu.system': system, ...rest } = metrics(measured)
    assert.deepEqual([user, system], [0.952, 0.048])
    assert.equal(rest.cpu, 1)
    assert.equal(rest['cpu.1.idle'], 0)
    assert.equal(measured[0].state, 'critical')
    assert.equal(measured[0].description, '100 % used: user 95 %, system 5 %, waiting for disks 0 %')
    assert.deepEqual(
      measured.filter(({ state }) => state !== undefined).map(({ service }) => service),
      ['cpu'],
    )
  })

  test('nothing in the first sample, nothing when no time has passed', () => {
    assert.deepEqual(first(cpu, recorded('stat.1')), [])
    assert.deepEqual(cpu.measure([recorded('stat.1')], [recorded('stat.1')], 0), [])
  })

  test('nice counts as user, interrupts as system, stolen time as used; iowait that went back is 0', () => {
    const measured = cpu.measure(['cpu  10 10 10 100 4 10 10 10 5 5\n'], ['cpu  0 0 0 60 5 0 0 0 0 0\n'], 1)
    assert.deepEqual(metrics(measured), {
      cpu: 0.596,
      'cpu.user': 0.202,
      'cpu.system': 0.303,
      'cpu.iowait': 0,
      'cpu.idle': 0.404,
      'cpu.nice': 0.101,
      'cpu.irq': 0.101,
      'cpu.softirq': 0.101,
      'cpu.steal': 0.101,
      'cpu.guest': 0.101,
    })
  })

  test('a CPU that came is left out until the next sample', () => {
    const before = 'cpu  0 0 0 10 0 0 0 0\ncpu0 0 0 0 10 0 0 0 0\n'
    const now = 'cpu  5 0 0 15 0 0 0 0\ncpu0 5 0 0 15 0 0 0 0\ncpu1 5 0 0 15 0 0 0 0\n'
    assert.equal(cpu.measure([now], [before], 1).length, 20)
  })

  test('another text is an error', () => {
    assert.throws(() => cpu.measure(['nonsense'], ['nonsense'], 1), /no line for the CPUs/)
  })
})

describe('load', () => {
  test('recorded', () => {
    const measured = first(load, recorded('loadavg.1'), recorded('stat.1'))
    assert.deepEqual(metrics(measured), {
      load: 5.21,
      'load.1': 10.42,
      'load.5': 11.7,
      'load.15': 9.42,
      processes: 201,
    })
    assert.equal(measured[0].state, 'warning')
    assert.throws(() => first(load, '', recorded('stat.1')), /loadavg/)
  })
})

describe('memory', () => {
  test('recorded, without swap', () => {
    const measured = first(memory, recorded('meminfo.1'))
    assert.deepEqual(metrics(measured), {
      memory: 0.0586,
      'memory.available': 23_236_908 * 1024,
      'memory.cached': (2_059_832 + 67_632) * 1024,
    })
    assert.equal(measured[0].state, 'ok')
    assert.equal(measured[0].description, '6 % used, 22.2 GiB of 23.5 GiB available')
  })

  test('an old kernel, with swap', () => {
    const text = [
      'MemTotal: 1000 kB',
      'MemFree: 20 kB',
      'Buffers: 10 kB',
      'Cached: 10 kB',
      'SwapTotal: 100 kB',
      'SwapFree: 25 kB',
    ].join('\n')
    const measured = first(memory, text)
    assert.deepEqual(metrics(measured), {
      memory: 0.96,
      'memory.available': 40_960,
      'memory.cached': 20_480,
      swap: 0.75,
      'swap.used': 76_800,
    })
    assert.equal(measured[0].state, 'critical')
    assert.equal(measured[3].state, undefined)
  })

  test('another text is an error', () => assert.throws(() => first(memory, ''), /no MemTotal/))
})

describe('disks', () => {
  test('recorded: one disk at work', () => {
    const measured = diskIo.measure([recorded('diskstats.2')], [recorded('diskstats.1')], 2)
    assert.deepEqual(metrics(measured), {
      'disk.vda.read': 8_192,
      'disk.vda.write': 266_240,
      'disk.vda.reads': 1,
      'disk.vda.writes': 41,
      'disk.vda.read.latency': 0.0005,
      'disk.vda.write.latency': 0.0003,
      'disk.vda.queue': 0.0135,
      'disk.vda.use': 0,
    })
    assert.deepEqual(first(diskIo, recorded('diskstats.1')), [])
  })

  const line = (name: string, sectors: number, busyMs = 0) =>
    ` 8 0 ${name} 1 0 ${sectors} 1 1 0 ${sectors} 1 0 ${busyMs} 1\n`

  test('partitions of a disk that is there are left out, and so is what is no disk', () => {
    const names = [
      'sda',
      'sda1',
      'xvda1',
      'nvme0n1',
      'nvme0n1p2',
      'mmcblk0',
      'mmcblk0p1',
      'dm-0',
      'loop3',
      'sr0',
      'zram0',
    ]
    const text = names.map((name) => line(name, 8)).join('') + line('sdb', 0)
    const services = diskIo.measure([text], [text], 1).map(({ service }) => service)
    assert.deepEqual(
      services.filter((service) => service.endsWith('.use')),
      ['disk.sda.use', 'disk.xvda1.use', 'disk.nvme0n1.use', 'disk.mmcblk0.use', 'disk.dm-0.use'],
    )
  })

  test('use is at most all the time; counters that start over give 0', () => {
    const measured = diskIo.measure([line('sda', 8, 3_000)], [line('sda', 80, 1_000)], 1)
    assert.equal(metrics(measured)['disk.sda.use'], 1)
    assert.equal(metrics(measured)['disk.sda.read'], 0)
  })

  test('requests a second, seconds a request, and how many waited', () => {
    const before = ' 8 0 sda 100 0 1 1000 200 0 1 4000 0 0 5000 1 1 1 1\n'
    const now = ' 8 0 sda 120 0 1 1100 250 0 1 4500 9 200 8000 1 1 1 1\n'
    const { 'disk.sda.use': use, ...rest } = metrics(diskIo.measure([now], [before], 2))
    assert.equal(use, 0.1)
    assert.deepEqual(rest, {
      'disk.sda.read': 0,
      'disk.sda.write': 0,
      'disk.sda.reads': 10,
      'disk.sda.writes': 25,
      'disk.sda.read.latency': 0.005,
      'disk.sda.write.latency': 0.01,
      'disk.sda.queue': 1.5,
    })
  })

  test('recorded mounts: one file system', () =>
    assert.deepEqual(mountsOf(recorded('mounts.1')), [{ point: '/', isReadOnly: false, isReadOnlyOnErrors: false }]))

  test('mounts: one per device, the shortest; shares and pseudo file systems are left out', () => {
    const mounts = [
      'overlay / overlay rw 0 0',
      '/dev/sda1 /var/lib/docker/bind ext4 rw 0 0',
      '/dev/sda1 /data ext4 rw 0 0',
      '/dev/sdb1 /mnt/my\\040disk xfs rw 0 0',
      'overlay /var/lib/docker/overlay2/x/merged overlay rw 0 0',
      'server:/export /nfs nfs4 rw 0 0',
      'tmpfs /run tmpfs rw 0 0',
      '/dev/loop1 /snap/core/1 squashfs ro 0 0',
    ].join('\n')
    assert.deepEqual(
      mountsOf(mounts).map(({ point }) => point),
      ['/', '/data', '/mnt/my disk'],
    )
  })

  test('space as df computes it: what is kept for root counts as neither', () => {
    const systems = [
      {
        mountPoint: '/',
        blockBytes: 4096,
        blocks: 1000,
        freeBlocks: 100,
        availableBlocks: 50,
        inodes: 50,
        freeInodes: 2,
      },
      {
        mountPoint: '/empty',
        blockBytes: 4096,
        blocks: 0,
        freeBlocks: 0,
        availableBlocks: 0,
        inodes: 0,
        freeInodes: 0,
      },
    ]
    const measured = diskSpace(systems)
    assert.deepEqual(metrics(measured), { 'disk /': 0.9474, 'disk / free': 204_800, 'disk / inodes': 0.96 })
    assert.equal(measured[0].state, 'warning')
    assert.equal(measured[0].description, '95 % used, 200.0 KiB free')
    assert.deepEqual([measured[2].state, measured[2].description], ['critical', '96 % used, 2 free'])
  })

  test('read-only: of no interest where it always was, critical where it turned so or does so on errors', () => {
    const mounts = (data: string) =>
      mountsOf(
        `/dev/a / ext4 ro,errors=remount-ro 0 0\n/dev/b /data xfs ${data},relatime 0 0\n/dev/c /usr ext4 ro 0 0\n`,
      )
    const wasWritable = new Set<string>()
    const states = (data: string) => readOnly(mounts(data), wasWritable).map(({ metric, state }) => [metric, state])
    assert.deepEqual(states('rw'), [
      [1, 'critical'],
      [0, 'ok'],
      [1, 'ok'],
    ])
    assert.deepEqual(states('ro')[1], [1, 'critical'])
    assert.deepEqual(states('rw')[1], [0, 'ok'])
    assert.deepEqual(readOnly(mounts('ro'), new Set())[1], {
      service: 'disk /data read-only',
      metric: 1,
      state: 'ok',
      description: 'mounted read-only',
    })
  })
})

describe('network', () => {
  test('recorded: what carried something', () => {
    const measured = network.measure([recorded('net-dev.2')], [recorded('net-dev.1')], 2)
    assert.deepEqual(
      measured.map(({ service }) => service),
      [
        ...['net.eth0.in', 'net.eth0.out', 'net.eth0.in.packets', 'net.eth0.out.packets'],
        ...['net.eth0.in.errors', 'net.eth0.out.errors', 'net.eth0.in.drops', 'net.eth0.out.drops'],
      ],
    )
    assert.deepEqual(first(network, recorded('net-dev.1')), [])
  })

  test('rates; names with colons, and figures right behind the colon', () => {
    const line = (name: string, n: number) => `${name}:${n} 1 ${n} ${n} 0 0 0 0 ${2 * n} 1 0 ${n} 0 0 0 0\n`
    const before = line('lo', 1) + line('  eth0', 1_000) + line('veth12', 5)
    const now = line('lo', 9) + line('  eth0', 3_000) + line('veth12', 50)
    assert.deepEqual(metrics(network.measure([now], [before], 4)), {
      'net.eth0.in': 500,
      'net.eth0.out': 1_000,
      'net.eth0.in.packets': 0,
      'net.eth0.out.packets': 0,
      'net.eth0.in.errors': 1_000,
      'net.eth0.out.errors': 500,
      'net.eth0.in.drops': 500,
      'net.eth0.out.drops': 500,
    })
  })
})

test('uptime', () => {
  assert.deepEqual(first(uptime, recorded('uptime.1')), [
    { service: 'uptime', metric: 4019.9, description: 'up for 1 h 6 min' },
  ])
  assert.equal(first(uptime, '200000.5 1\n')[0].description, 'up for 2 d 7 h')
  assert.equal(first(uptime, '59 1\n')[0].description, 'up for 0 min')
  assert.throws(() => first(uptime, ''), /does not begin with a number/)
})

test('helpers', () => {
  assert.equal(stateOf(0.9, { warning: 0.9, critical: 0.95 }), 'ok')
  assert.equal(stateOf(0.96, { warning: 0.9, critical: 0.95 }), 'critical')
  assert.equal(perSecond(10, 20, 1), 0)
  assert.equal(perSecond(10, 5, 0), 0)
  assert.equal(bytesText(1_023), '1023 B')
  assert.equal(bytesText(1_536), '1.5 KiB')
})
