import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, describe, it } from 'node:test'
import { nodeClock } from '../../server/node-clock.ts'
import { brokersToRestart, SplitWatch } from './split.ts'

describe('brokers that lost one another', () => {
  it('are none where nobody lost anybody', () => {
    assert.deepEqual(brokersToRestart([]), [])
    assert.deepEqual(brokersToRestart([{ name: 'a', partitions: [] }, { name: 'b' }]), [])
  })

  it('the one that lost most is to be restarted, whoever of them says so', () => {
    const nodes = (a: string[], b: string[], c: string[]): { name: string; partitions: string[] }[] => [
      { name: 'a', partitions: a },
      { name: 'b', partitions: b },
      { name: 'c', partitions: c },
    ]
    assert.deepEqual(brokersToRestart(nodes(['b', 'c'], [], [])), ['a'])
    assert.deepEqual(brokersToRestart(nodes([], ['a'], ['a'])), ['a'])
    assert.deepEqual(
      brokersToRestart(nodes([], ['c'], ['b'])),
      ['b'],
      'of two that lost each other, the same by everybody',
    )
    assert.deepEqual(brokersToRestart(nodes(['b', 'c'], ['a', 'c'], ['a', 'b'])), ['a', 'b'])
  })
})

describe('a watch for splits', () => {
  const servers: Server[] = []
  after(async () => {
    for (const server of servers) server.close()
    await Promise.all(servers.filter(({ listening }) => listening).map((server) => once(server, 'close')))
  })

  async function api(nodes: () => unknown): Promise<string> {
    const server = createServer(({ headers, url }, response) => {
      const mine = headers.authorization === `Basic ${Buffer.from('me:my secret').toString('base64')}`
      response.statusCode = mine && url === '/api/nodes?columns=name,partitions' ? 200 : 401
      response.end(JSON.stringify(nodes()))
    })
    servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return `http://me:my%20secret@127.0.0.1:${(server.address() as AddressInfo).port}/`
  }

  it('tells when it begins and when it ends, by whichever broker answers', async () => {
    let nodes: unknown = [{ name: 'a', partitions: [] }]
    const told: (readonly string[])[] = []
    const urls = ['http://127.0.0.1:1', await api(() => nodes), await api(() => 'no list')]
    const watch = new SplitWatch({ urls, clock: nodeClock, onChange: (restart) => told.push(restart) })
    assert.equal(watch.restart, undefined)
    await watch.look()
    assert.deepEqual(watch.restart, [])
    nodes = [
      { name: 'a', partitions: ['b'] },
      { name: 'b', partitions: ['a', 'c'] },
    ]
    await watch.look()
    await watch.look()
    nodes = [{ name: 'a' }]
    await watch.look()
    assert.deepEqual(told, [['b'], []])
    watch.close()
  })

  it('says that it does not know where no broker answers', async () => {
    const watch = new SplitWatch({ urls: ['http://127.0.0.1:1'], clock: nodeClock, onChange: () => assert.fail() })
    await watch.look()
    assert.equal(watch.restart, undefined)
    watch.close()
  })
})
