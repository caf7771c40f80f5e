import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FileSystem } from './probes/disk-space.ts'
import { type Machine, Sampler } from './sampler.ts'

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
