import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import { VirtualClock } from '@ricci/testkit'
import { nodeClock } from '../../server/node-clock.ts'
import type { Resolver } from '../../resolver.ts'
import { distinct, findBrokers } from './addresses.ts'
import { Brokers } from './brokers.ts'

/** DNS, as a test has it. */
class FakeDns implements Resolver {
  asked = 0
  readonly hosts = new Map<string, readonly string[]>()
  readonly srv = new Map<string, { name: string; port: number; priority: number }[]>()

  addresses(host: string): Promise<readonly string[]> {
    return this.answer(this.hosts.get(host), host)
  }

  services(name: string): Promise<{ name: string; port: number; priority: number }[]> {
    return this.answer(this.srv.get(name), name)
  }

  private answer<T>(answer: T | undefined, name: string): Promise<T> {
    this.asked++
    return answer === undefined ? Promise.reject(new Error(`ENOTFOUND ${name}`)) : Promise.resolve(answer)
  }
}

describe('where brokers are', () => {
  const dns = new FakeDns()
  dns.hosts.set('broker', ['10.0.0.1', '10.0.0.2'])
  dns.hosts.set('a.example', ['10.1.0.1'])
  dns.hosts.set('b.example', ['10.1.0.2', 'fd00::2'])
  dns.srv.set('_amqps._tcp.example', [
    { name: 'b.example', port: 5672, priority: 20 },
    { name: 'a.example', port: 5671, priority: 10 },
  ])
  const find = async (...urls: string[]) =>
    distinct(await findBrokers(urls, dns, new Map())).map(({ url, address }) => `${address} ${url}`)

  it('an address is itself, a name all its addresses, a service all of its servers, by priority', async () => {
    assert.deepEqual(await find('amqp://u:p@10.0.0.9/v', 'amqp://[fd00::9]/v'), [
      '10.0.0.9 amqp://u:p@10.0.0.9/v',
      'fd00::9 amqp://[fd00::9]/v',
    ])
    assert.deepEqual(await find('amqp://u:p%2F@broker:1/v', 'amqp://u:p%2F@broker:1/v'), [
      '10.0.0.1 amqp://u:p%2F@broker:1/v',
      '10.0.0.2 amqp://u:p%2F@broker:1/v',
    ])
    assert.deepEqual(await find('amqps+srv://u:p%2F@_amqps._tcp.example/v'), [
      '10.1.0.1 amqps://u:p%2F@a.example:5671/v',
      '10.1.0.2 amqps://u:p%2F@b.example:5672/v',
      'fd00::2 amqps://u:p%2F@b.example:5672/v',
    ])
  })

  it('a name without an answer is left to whoever connects, a service is an error; both keep what was known', async () => {
    assert.deepEqual(await find('amqp://nowhere/v'), ['undefined amqp://nowhere/v'])
    await assert.rejects(find('amqp+srv://_x._tcp.nowhere/v'), /DNS names no brokers: ENOTFOUND/)
    const urls = ['amqp://gone/v', 'amqp+srv://_gone._tcp.example/v']
    const before = new Map(urls.map((url, index) => [url, [{ url: `amqp://x${index}/v`, address: `10.9.0.${index}` }]]))
    assert.deepEqual(await findBrokers(urls, dns, before), before)
  })
})

describe('Brokers', () => {
  const servers: Server[] = []
  const sockets = new Set<Socket>()
  after(async () => {
    for (const socket of sockets) socket.destroy()
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  })

  /** Takes connections at an address of loopback and hangs up; counts them. */
  async function listener(host: string, port = 0): Promise<{ readonly port: number; readonly count: () => number }> {
    let count = 0
    const server = createServer((socket) => {
      count++
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.end()
    })
    servers.push(server)
    server.listen(port, host)
    await once(server, 'listening')
    return { port: (server.address() as AddressInfo).port, count: () => count }
  }

  it('tries each address of a name; those that failed lately last, and those that DNS names later', async () => {
    const dns = new FakeDns()
    dns.hosts.set('broker', ['127.0.0.2', '127.0.0.3'])
    const one = await listener('127.0.0.2')
    const other = await listener('127.0.0.3', one.port)
    const late = await listener('127.0.0.4', one.port)
    const clock = new VirtualClock()
    const ticking = { ...nodeClock, monotonicMs: () => clock.monotonicMs() }
    const urls = [`amqp://guest:guest@broker:${one.port}/v`]
    const brokers = new Brokers({ urls, name: 'test', clock: ticking, resolver: dns })
    const failed = { code: 'LOG_UNAVAILABLE', message: /broker:\d+ \(127\.0\.0\.2\) .*broker:\d+ \(127\.0\.0\.3\)/ }
    await assert.rejects(brokers.connect(0), failed)
    assert.deepEqual([one.count(), other.count(), dns.asked], [1, 1, 1])
    // one failed for longer: it comes last although it would be first
    brokers.avoid(0)
    const order = { code: 'LOG_UNAVAILABLE', message: /127\.0\.0\.3.*127\.0\.0\.2/ }
    await assert.rejects(brokers.connect(0), order)
    assert.equal(dns.asked, 1, 'not so soon after')
    dns.hosts.set('broker', ['127.0.0.4', '127.0.0.3'])
    await clock.advance(1_000)
    // what is known counts meanwhile
    await assert.rejects(brokers.connect(0), { code: 'LOG_UNAVAILABLE' })
    assert.equal(dns.asked, 2)
    await assert.rejects(brokers.connect(0), { code: 'LOG_UNAVAILABLE', message: /127\.0\.0\.4/ })
    assert.ok(late.count() > 0)
    const count = one.count()
    await assert.rejects(brokers.connect(0), { code: 'LOG_UNAVAILABLE' })
    assert.equal(one.count(), count, 'DNS names it no more')
    await brokers.close()
  })

  it('says so when nothing is known, and looks again', async () => {
    const dns = new FakeDns()
    const urls = ['amqps+srv://u:p@_amqps._tcp.example/v']
    const brokers = new Brokers({ urls, name: 'test', clock: nodeClock, resolver: dns })
    await assert.rejects(brokers.connect(0), { code: 'LOG_UNAVAILABLE', message: /no broker is known: DNS names no/ })
    dns.srv.set('_amqps._tcp.example', [{ name: '127.0.0.1', port: 1, priority: 1 }])
    await assert.rejects(brokers.connect(0), { code: 'LOG_UNAVAILABLE', message: /127\.0\.0\.1:1 .*ECONNREFUSED/ })
    await brokers.close()
  })
})
