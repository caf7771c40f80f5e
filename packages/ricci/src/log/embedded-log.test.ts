import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { crc32 } from 'node:zlib'
import { nodeDisk } from './disk.ts'
import { EmbeddedLog, type EmbeddedLogOptions } from './embedded-log.ts'
import type { LogEvent } from './events.ts'
import { LogFollower } from './follower.ts'
import { LogProgress } from './progress.ts'

function folder(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'ricci-log-'))
  context.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function openLog(dataDirectory: string, more: Partial<EmbeddedLogOptions> = {}): Promise<EmbeddedLog> {
  return EmbeddedLog.open({ dataDirectory, disk: nodeDisk, clock: { wallMs: () => 1_000 }, ...more })
}

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (value: Uint8Array) => new TextDecoder().decode(value)

test('what was appended is read, here and by a follower, and after a reopen', async (context) => {
  const path = folder(context)
  const log = await openLog(path)
  assert.match(log.id, /^[0-9a-f]{32}$/)
  const large = Uint8Array.from({ length: 3_000_000 }, (_, index) => (index * 7) & 255)
  assert.deepEqual(await log.append(0, [bytes('a'), bytes('')]), [0, 1])
  const [b, c] = await Promise.all([log.append(0, [large]), log.appendParts(0, bytes('head '), bytes('body'))])
  assert.deepEqual([b, c], [[2], [3]])

  const follower = new LogFollower({
    dataDirectory: path,
    disk: nodeDisk,
    progress: new LogProgress(log.progress.buffer),
    from: 1,
    bufferBytes: 65_536,
  })
  const seen: [number, number, number][] = []
  for (let batch = follower.next(); batch !== undefined; batch = follower.next()) {
    for (const { offset, bytes, checksum } of batch.records()) {
      assert.equal(checksum, crc32(bytes))
      seen.push([offset, bytes.length, checksum])
    }
  }
  assert.deepEqual(seen, [
    [1, 0, 0],
    [2, large.length, crc32(large)],
    [3, 9, crc32('head body')],
  ])
  await log.append(0, [bytes('more')])
  const batch = follower.next()!
  assert.equal(text(batch.record(0).bytes), 'more')
  assert.equal(follower.next(), undefined)
  follower.close()
  await log.close()

  const events: LogEvent[] = []
  const again = await openLog(path, { report: (event) => events.push(event) })
  assert.equal(again.id, log.id)
  assert.deepEqual(await again.range(0), { first: 0, end: 5 })
  assert.deepEqual(await again.append(0, [bytes('last')]), [5])
  const abort = new AbortController()
  const read: string[] = []
  for await (const records of again.read(0, 3, abort.signal)) {
    for (const record of records) read.push(`${record.offset} ${text(record.bytes)}`)
    if (read.length === 3) abort.abort()
  }
  assert.deepEqual(read, ['3 head body', '4 more', '5 last'])
  assert.deepEqual(events, [])
  await again.close()
})

test('a read that waits ends when the log is closed', async (context) => {
  const log = await openLog(folder(context))
  await log.append(0, [bytes('a')])
  const read: string[] = []
  const reading = (async () => {
    for await (const records of log.read(0, 0, new AbortController().signal)) {
      read.push(...records.map((record) => text(record.bytes)))
      if (read.length === 1) void log.close()
    }
  })()
  await reading
  await log.close()
  assert.deepEqual(read, ['a'])
})

test('one process per data directory, by whatever path, and free again after a kill -9', async (context) => {
  const path = folder(context)
  const log = await openLog(path)
  const link = `${path}-link`
  symlinkSync(path, link)
  context.after(() => rmSync(link))
  await assert.rejects(openLog(link), {
    code: 'DATA_IN_USE',
    message: `the data directory ${link} is in use by another ricci (pid ${process.pid}); stop that one first, or give this one another directory`,
  })
  await log.close()

  // A listening socket with a name of the lock's form is all another process would show of itself.
  const script = `const s = require('net').createServer((c) => c.end('held'))
    s.listen(${JSON.stringify(path)} + '/lock.' + process.pid + '.0123456789abcdef', () => console.log('listening'))`
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  await assert.rejects(openLog(path), { code: 'DATA_IN_USE', message: new RegExp(`pid ${child.pid}`) })
  child.kill('SIGKILL')
  await once(child, 'exit')
  assert.equal(readdirSync(path).filter((name) => name.startsWith('lock.')).length, 1)
  const again = await openLog(path)
  await again.close()
  assert.deepEqual(readdirSync(path), ['log'])
})

test('a data directory that cannot be one says why, and what to do', async (context) => {
  const path = folder(context)
  writeFileSync(join(path, 'file'), '')
  for (const below of ['file', 'file/data']) {
    await assert.rejects(openLog(join(path, below)), {
      code: 'DATA_UNUSABLE',
      message: `the data directory ${join(path, below)} is no directory, or lies below a file: name another one`,
    })
  }
  if (process.platform === 'linux') {
    await assert.rejects(openLog('/proc/none/data'), {
      code: 'DATA_UNUSABLE',
      message: 'the data directory /proc/none/data lies where no directory can be made: name another one',
    })
  }
  const failing = (code: string) =>
    openLog(path, {
      disk: {
        ...nodeDisk,
        makeDirectory: () => Promise.reject(Object.assign(new Error(code), { code })),
      },
    })
  await assert.rejects(failing('EROFS'), {
    code: 'DATA_UNUSABLE',
    message: `the data directory ${path} lies on a file system that is read-only: mount it for writing, or name another directory`,
  })
  await assert.rejects(failing('EACCES'), { code: 'DATA_UNUSABLE', message: /is not this user's to write \(uid \d+\)/ })
  await assert.rejects(failing('ENOSPC'), { code: 'LOG_FULL' })
  await (await openLog(path)).close() // what failed let go of the lock
})

test('of many that open a data directory at once exactly one gets it', async (context) => {
  const path = folder(context)
  for (let round = 0; round < 20; round++) {
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => nodeDisk.lock(path)))
    const held = results.filter((result) => result.status === 'fulfilled')
    assert.equal(held.length, 1)
    await held[0].value.release()
  }
})
