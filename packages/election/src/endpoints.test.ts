import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { VirtualClock } from '@ricci/testkit'
import { Endpoints, type Resolver, type ServiceRecord } from './endpoints.ts'

/** DNS, as a test has it: what each name says, or that it fails. */
class FakeDns implements Resolver {
  asked = 0
  readonly hosts = new Map<string, readonly string[]>()
  readonly srv = new Map<string, readonly ServiceRecord[]>()

  async addresses(host: string): Promise<readonly string[]> {
    return this.#answer(this.hosts.get(host), host)
  }

  async services(name: string): Promise<readonly ServiceRecord[]> {
    return this.#answer(this.srv.get(name), name)
  }

  #answer<T>(answer: T | undefined, name: string): T {
    this.asked++
    if (answer === undefined) throw new Error(`ENOTFOUND ${name}`)
    return answer
  }
}

const live = new AbortController().signal

function find(addresses: string | string[], chances: number[] = []) {
  const clock = new VirtualClock()
  const resolver = new FakeDns()
  const random = (): number => chances.shift() ?? 0.5
  const endpoints = new Endpoints(addresses, { port: 8500, resolver, clock, random })
  const urls = async (): Promise<string[]> => (await endpoints.list(live)).map(({ url }) => url)
  return { clock, resolver, endpoints, urls }
}

describe('finding a store', () => {
  it('reads addresses as people write them', async () => {
    for (const [given, url] of Object.entries({
      'http://10.0.0.1:8501': 'http://10.0.0.1:8501',
      '10.0.0.1': 'http://10.0.0.1:8500',
      'https://10.0.0.1/': 'https://10.0.0.1:8500',
      'http://10.0.0.1:80': 'http://10.0.0.1:80',
      'https://[::1]:443': 'https://[::1]:443',
    })) {
      assert.deepEqual(await find(given).urls(), [url], given)
    }
  })

  it('refuses what is no address, without repeating a password', () => {
    for (const wrong of [
      'ftp://x',
      'http://u:secret@x',
      'http://x/v1',
      'http+srv://_consul._tcp.x:80',
      'http://x y:secret',
    ]) {
      assert.throws(
        () => find(wrong),
        (error: Error & { code: string }) => {
          assert.equal(error.code, 'OPTION_INVALID')
          assert.doesNotMatch(error.message, /secret/)
          return true
        },
      )
    }
    assert.throws(() => find([]), { code: 'OPTION_INVALID' })
  })

  it('asks in the order given; what failed goes last for a while', async () => {
    const { clock, endpoints, urls } = find(['10.0.0.1', '10.0.0.2', '10.0.0.3'])
    const [first, second] = await endpoints.list(live)
    const order = async (): Promise<string> => (await urls()).map((url) => url.at(14)).join('')
    assert.equal(await order(), '123')
    endpoints.failed(first)
    assert.equal(await order(), '231')
    await clock.advance(10)
    endpoints.failed(second)
    assert.equal(await order(), '312')
    endpoints.answered(second)
    assert.equal(await order(), '231')
    await clock.advance(10_000)
    assert.equal(await order(), '123')
  })

  it('takes every address of a name, looks it up again after a failure and at an interval, and keeps the last answer', async () => {
    const { clock, endpoints, resolver, urls } = find('http://consul:8500')
    await assert.rejects(urls(), { code: 'STORE_UNAVAILABLE', message: /consul:8500.*DNS/ })
    resolver.hosts.set('consul', ['10.0.0.1', 'fd00::1'])
    assert.deepEqual(await urls(), ['http://10.0.0.1:8500', 'http://[fd00::1]:8500'])
    const asked = resolver.asked
    resolver.hosts.set('consul', ['10.0.0.9'])
    await clock.advance(2000)
    await urls()
    assert.equal(resolver.asked, asked)
    endpoints.failed((await endpoints.list(live))[0])
    await urls()
    await clock.settle()
    assert.deepEqual(await urls(), ['http://10.0.0.9:8500'])
    resolver.hosts.delete('consul')
    await clock.advance(30_000)
    await urls()
    await clock.settle()
    assert.deepEqual(await urls(), ['http://10.0.0.9:8500'])
    assert.equal(resolver.asked, asked + 2)
  })

  it('asks the servers of a service by priority and weight, the same order throughout', async () => {
    const { resolver, urls } = find('https+srv://_consul._tcp.example.org', [0.9, 0.1, 0.5])
    resolver.srv.set('_consul._tcp.example.org', [
      { name: 'a', port: 1, priority: 2, weight: 1 },
      { name: 'b', port: 2, priority: 1, weight: 1 },
      { name: 'c', port: 3, priority: 1, weight: 100 },
    ])
    for (const [name, address] of Object.entries({ a: '10.0.0.1', b: '10.0.0.2', c: '10.0.0.3' })) {
      resolver.hosts.set(name, [address])
    }
    const order = ['https://10.0.0.3:3', 'https://10.0.0.2:2', 'https://10.0.0.1:1']
    assert.deepEqual(await urls(), order)
    assert.deepEqual(await urls(), order)
  })

  it('spreads many by weight', async () => {
    let firstIsHeavy = 0
    for (let round = 0; round < 200; round++) {
      const { resolver, urls } = find('http+srv://_s', [(round * 0.618) % 1, (round * 0.414) % 1])
      resolver.srv.set('_s', [
        { name: '10.0.0.1', port: 1, priority: 1, weight: 1 },
        { name: '10.0.0.2', port: 2, priority: 1, weight: 3 },
      ])
      if ((await urls())[0].endsWith(':2')) firstIsHeavy++
    }
    assert.ok(firstIsHeavy > 130 && firstIsHeavy < 170, `${firstIsHeavy} of 200`)
  })

  it('waits for DNS no longer than its signal', async () => {
    const { endpoints, resolver } = find('consul')
    resolver.addresses = () => new Promise(() => {})
    const abort = new AbortController()
    const waiting = endpoints.list(abort.signal)
    abort.abort(new Error('enough'))
    await assert.rejects(waiting, /enough/)
  })
})
