import assert from 'node:assert/strict'
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, it } from 'node:test'
import type { Event, RiemannTcpClient } from '@ricci/client'
import { Bench } from './testing.ts'

let bench: Bench | undefined
afterEach(() => bench?.close())

const refused = { code: 'REFUSED', message: /the log is at its limit of 4000000 bytes/ }

/** What no longer fits where small things do. */
function large(service: string): Event {
  return { host: 'a', service, ttl: 3600, description: 'x'.repeat(60_000) }
}

/** Sends until the log has no room. */
async function fill(client: RiemannTcpClient): Promise<void> {
  await assert.rejects(async () => {
    for (let sent = 0; sent < 200; sent++) await client.send([large('filling')])
  }, refused)
}

/** Sends the same event again until it is taken. */
async function untilTaken(client: RiemannTcpClient, service: string): Promise<void> {
  for (;;) {
    try {
      return await client.send([large(service)])
    } catch (error) {
      assert.match(String(error), refused.message)
    }
  }
}

describe('A log at its limit, of which snapshots need everything', () => {
  it(
    'delivers what was decided, and goes on by itself once a snapshot is stored, after a start as well',
    { timeout: 120_000 },
    async () => {
      const b = (bench = new Bench(`import { incident, index, rules, where } from 'ricci'
export default rules(index(), where('service = "disk"', incident('disk-full', { bad: 'metric > 0.9', to: 'console' })))
`))
      const folder = join(b.folder, 'data', 'snapshots')
      // nothing can be stored in what is no folder
      const block = (): void => {
        renameSync(folder, `${folder}.away`)
        writeFileSync(folder, '')
      }
      const unblock = (): void => {
        rmSync(folder)
        renameSync(`${folder}.away`, folder)
      }
      let sick = true
      let paged: (line: string) => void
      const page = new Promise<string>((resolve) => (paged = resolve))
      const options = {
        config: b.config({ retention: { ageMs: 86_400_000, bytes: 4_000_000 } }),
        console: (line: string) => (sick ? Promise.reject(new Error('sick')) : paged(line)),
      }
      const first = b.server(options)
      const { tcp } = await first.start()
      await first.ready()
      block()
      const client = b.client(tcp)
      await client.send([{ host: 'a', service: 'disk', metric: 0.95, ttl: 3600 }])
      await fill(client)
      await assert.rejects(client.send([{ host: 'a', service: 'small' }]), refused, 'nor does what would still fit')
      assert.match(await b.said(/the log is at its size limit/), /snapshot-failed says what keeps them/)
      sick = false
      assert.match(await page, /disk-full/)
      assert.match(JSON.stringify(first.readiness()), /"ready":false.*it refuses events/)
      assert.equal((await first.status()).partitions[0].log!.first, 0)
      assert.match(await b.said(/a snapshot could not be stored/), /ENOTDIR/)
      unblock()
      await untilTaken(client, 'after')
      assert.equal(first.readiness().ready, true)
      assert.ok((await first.status()).partitions[0].log!.first > 0)

      block()
      await fill(client)
      await first.stop()
      unblock()
      const second = b.server(options)
      const again = await second.start()
      const { first: oldest } = (await second.status()).partitions[0].log!
      await untilTaken(b.client(again.tcp), 'later')
      assert.ok((await second.status()).partitions[0].log!.first > oldest)
      assert.equal((await b.client(again.tcp).query('service = "after" or service = "later"')).length, 2)
    },
  )
})
