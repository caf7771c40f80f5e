import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { decodeMsg, encodeMsg, frame, FrameReader, type Event } from '@ricci/client'
import type { BenchResult } from './bench.ts'
import { runProgram } from './program.ts'

for (const ok of [true, false]) {
  test(`a bench of a server that ${ok ? 'acknowledges' : 'refuses'} says so`, async (t) => {
    const events: Event[] = []
    const server = createServer((socket) => {
      const frames = new FrameReader()
      socket.on('data', (chunk: Uint8Array) => {
        frames.push(chunk)
        for (let bytes = frames.next(); bytes !== undefined; bytes = frames.next()) {
          events.push(...(decodeMsg(bytes).events ?? []))
          socket.write(frame(encodeMsg(ok ? { ok } : { ok, error: 'the log is full' })))
        }
      })
    })
    t.after(() => server.close())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    let out = ''
    let err = ''
    const words = ['bench', '--server', `127.0.0.1:${port}`, '--events', '1000/s', '--seconds', '1', '--batch', '10']
    const code = await runProgram([...words, '-o', 'json'], {
      ...{ write: (text) => void (out += text), print: async () => undefined, complain: (text) => void (err += text) },
      ...{ env: {}, interactive: false, signals: new EventEmitter() },
    })
    const { sent, acked, failed, ackMs } = JSON.parse(out) as BenchResult
    assert.equal(code, ok ? 0 : 1, err)
    assert.equal(sent, events.length)
    assert.deepEqual([acked, failed], ok ? [sent, 0] : [0, sent])
    assert.ok(sent > 0 && sent <= 1_010, String(sent))
    assert.ok(ackMs.p50 <= ackMs.p99 && ackMs.p99 <= ackMs.most)
    assert.match(err, /^The rules in force see these events/)
    if (!ok) assert.match(err, /events were not acknowledged: .*the log is full/)
    for (const { host, tags, ttl, service } of events) {
      assert.match(host!, /^ricci-bench-([1-9]\d?|100)$/)
      assert.deepEqual([tags, ttl, service?.startsWith('ricci bench ')], [['ricci-bench'], 30, true])
    }
  })
}
