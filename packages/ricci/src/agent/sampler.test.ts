import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FileSystem } from './probes/disk-space.ts'
import type { Probe, Survey } from './probe.ts'
import { type Machine, Sampler } from './sampler.ts'
import { seldom } from './seldom.ts'

test('a disk that does not answer is named, and neither waited for nor asked again until it does', async () => {
  const asked: string[] = []
  let isIll = true
  let wake = (_system: FileSystem): void => undefined
  const system = (mountPoint: string): FileSystem => ({
    mountPoint,
    blockBytes: 4_096,
    blocks: 100,
    freeBlocks: 50,
    availableBlocks: 50,
    inodes: 0,
    freeInodes: 0,
  })
  const machine: Machine = {
    read: async () => '/dev/a / ext4 rw 0 0\n/dev/b /ill ext4 rw 0 0\n',
    fileSystem(point) {
      asked.push(point)
      return isIll && point === '/ill' ? new Promise((resolve) => (wake = resolve)) : Promise.resolve(system(point))
    },
    // over once everything that answers at once has answered
    patience: () => ({ over: new Promise((resolve) => setImmediate(resolve)), end: () => undefined }),
  }
  const said: string[] = []
  const sampler = new Sampler(machine, (text) => said.push(text), [])
  const sample = async (): Promise<string[]> => (await sampler.sample(0)).map(({ service }) => service)
  assert.deepEqual(await sample(), ['disk /', 'disk / free'])
  assert.deepEqual(await sample(), ['disk /', 'disk / free'])
  assert.deepEqual(asked, ['/', '/ill', '/'])
  assert.deepEqual(said, ['the probe disk /ill is left out: it does not answer; is the disk ill?'])
  isIll = false
  wake(system('/ill'))
  assert.deepEqual(await sample(), ['disk /', 'disk / free', 'disk /ill', 'disk /ill free'])
})

const silent: Machine = {
  read: (file) => Promise.reject(new Error(`${file} is hidden`)),
  fileSystem: () => Promise.reject(new Error('no mount was named')),
  patience: () => ({ over: Promise.resolve(), end: () => undefined }),
}

test('a probe that is optional is left out without a word, and has no rates right after it was', async () => {
  const texts: (string | undefined)[] = ['1', undefined, '5', '9']
  const said: string[] = []
  const machine: Machine = {
    ...silent,
    read: async (file) => {
      const text = file === 'counter' ? texts.shift() : ''
      if (text === undefined) throw new Error('hidden')
      return text
    },
  }
  const probe: Probe = {
    name: 'counter',
    files: ['counter'],
    optional: true,
    measure: ([now], before) =>
      before === undefined ? [] : [{ service: 'a', metric: Number(now) - Number(before[0]) }],
  }
  const sampler = new Sampler(machine, (text) => said.push(text), [probe])
  const metrics = []
  for (let second = 1; second <= 4; second++)
    metrics.push((await sampler.sample(second * 1_000)).map(({ metric }) => metric))
  assert.deepEqual(metrics, [[], [], [], [4]])
  assert.deepEqual(said, [])
})

test('surveys are asked with each sample; one that fails is named once, and keeps no other out', async () => {
  const said: string[] = []
  const broken: Survey = { name: 'links', measure: () => Promise.reject(new Error('the folder is gone')) }
  const good: Survey = { name: 'good', measure: async (_machine, nowMs) => [{ service: 'good', metric: nowMs }] }
  const sampler = new Sampler({ ...silent, read: async () => '' }, (text) => said.push(text), [], [broken, good])
  assert.deepEqual(await sampler.sample(1), [{ service: 'good', metric: 1 }])
  assert.deepEqual(await sampler.sample(2), [{ service: 'good', metric: 2 }])
  assert.deepEqual(said, ['the probe links is left out: the folder is gone'])
})

test('what is done seldom answers as it last did, waits five hundred times as long as it worked, and tells nothing old in its place', async () => {
  let cpuMs = 0
  let workMs = 100
  const askedAt: number[] = []
  let isBroken = false
  const slow: Survey = {
    name: 'slow',
    async measure(_machine, nowMs) {
      askedAt.push(nowMs)
      cpuMs += workMs
      if (isBroken) throw new Error('gone')
      return [{ service: 'slow', metric: askedAt.length }]
    },
  }
  const survey = seldom(slow, 5_000, () => cpuMs)
  const answers: unknown[] = []
  for (const nowMs of [0, 5_000, 49_999, 50_000]) answers.push((await survey.measure(silent, nowMs))[0].metric)
  assert.deepEqual(answers, [1, 1, 1, 2])
  assert.deepEqual(askedAt, [0, 50_000])
  // a minute at most, whatever it costs
  workMs = 10_000
  for (const nowMs of [100_000, 159_999, 160_000]) await survey.measure(silent, nowMs)
  assert.deepEqual(askedAt.splice(0), [0, 50_000, 100_000, 160_000])
  isBroken = true
  await assert.rejects(async () => survey.measure(silent, 220_000), /gone/)
  assert.deepEqual(await survey.measure(silent, 224_999), [])
})
