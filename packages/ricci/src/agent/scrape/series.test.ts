import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { Series, type SeriesOptions } from './series.ts'

const read = (series: Series, text: string, nowMs = 0, isOpenMetrics = false) =>
  series.read(Buffer.from(text), isOpenMetrics, nowMs)

const one = (text: string, options: Partial<SeriesOptions> = {}) =>
  read(new Series({ maxSeries: 1_000, ttl: 45, ...options }), text)

const metrics = (scraped: { readonly events: readonly { service?: string; metric?: unknown }[] }) =>
  Object.fromEntries(scraped.events.map(({ service, metric }) => [service, metric]))

/** In the form of kube-state-metrics. */
const cluster = `# HELP kube_pod_status_phase The pods current phase.
# TYPE kube_pod_status_phase gauge
kube_pod_status_phase{namespace="shop",pod="cart-7d",uid="6b1",phase="Running"} 1
kube_pod_status_phase{namespace="shop",pod="cart-7d",uid="6b1",phase="Failed"} 0
# TYPE kube_service_info gauge
kube_service_info{namespace="shop",service="cart",host="10.0.0.1",cluster="blue",job="x",empty=""} 1
`

describe('series', () => {
  test('the service is the name with all labels in order; labels are attributes, and none of them an event’s field', () => {
    assert.deepEqual(one(cluster, { job: 'kube' }).events, [
      {
        service: 'kube_pod_status_phase job=kube namespace=shop phase=Running pod=cart-7d uid=6b1',
        metric: 1,
        metricType: 'double',
        ttl: 45,
        attributes: {
          __name__: 'kube_pod_status_phase',
          ...{ job: 'kube', namespace: 'shop', phase: 'Running', pod: 'cart-7d', uid: '6b1' },
        },
      },
      {
        service: 'kube_pod_status_phase job=kube namespace=shop phase=Failed pod=cart-7d uid=6b1',
        metric: 0,
        metricType: 'double',
        ttl: 45,
        attributes: {
          __name__: 'kube_pod_status_phase',
          ...{ job: 'kube', namespace: 'shop', phase: 'Failed', pod: 'cart-7d', uid: '6b1' },
        },
      },
      {
        service:
          'kube_service_info exported_cluster=blue exported_host=10.0.0.1 exported_job=x exported_service=cart job=kube namespace=shop',
        metric: 1,
        metricType: 'double',
        ttl: 45,
        attributes: {
          __name__: 'kube_service_info',
          ...{ exported_cluster: 'blue', exported_host: '10.0.0.1', exported_job: 'x', exported_service: 'cart' },
          ...{ job: 'kube', namespace: 'shop' },
        },
      },
    ])
    assert.equal(one('a{job="x"} 1').events[0].service, 'a job=x')
  })

  test('recorded: two series of node_exporter never have one service', () => {
    const body = readFileSync('packages/ricci/src/agent/fixtures/node-exporter.txt')
    const { events, leftOut } = new Series({ ttl: 45, maxSeries: 10_000 }).read(body, false, 0)
    assert.equal(new Set(events.map(({ service }) => service)).size, events.length)
    assert.ok(events.length > 100)
    assert.equal(leftOut, 0)
  })

  test('NaN is no value; infinity is one; a timestamp is the event’s time', () => {
    const { events } = one('a NaN\nb +Inf\nc 1 1395066363500\n')
    assert.deepEqual(
      events.map(({ service, metric, time }) => [service, metric, time]),
      [
        ['b', Infinity, undefined],
        ['c', 1, 1395066363.5],
      ],
    )
  })

  test('keep and drop: patterns of names', () => {
    const text = 'go_threads 1\nnode_load1 2\nnode_load15 3\nnode.x 4\n'.replace('node.x 4', '{"node.x"} 4')
    const services = (options: Partial<SeriesOptions>) => Object.keys(metrics(one(text, options)))
    assert.deepEqual(services({ keep: ['node_*', 'nothing'] }), ['node_load1', 'node_load15'])
    assert.deepEqual(services({ keep: ['node*'], drop: ['*15'] }), ['node_load1', 'node.x'])
    assert.deepEqual(services({ drop: ['*'] }), [])
    assert.deepEqual(services({ keep: ['node.x', 'o_*'] }), ['node.x'])
  })

  test('rates of counters where asked: none at first, none backwards, from nothing after a new start', () => {
    const series = new Series({ ttl: 45, maxSeries: 10, rates: ['*_total', 'latency*', 'load'] })
    const text = (orders: number, sum: number) =>
      `# TYPE orders_total counter\norders_total{shop="a"} ${orders}\n# TYPE latency summary\nlatency{quantile="0.5"} 3\nlatency_sum ${sum}\nload 7\n`
    const gauges = { 'latency quantile=0.5': 3, load: 7 }
    assert.deepEqual(metrics(read(series, text(100, 5), 1_000)), gauges)
    assert.deepEqual(metrics(read(series, text(150, 6), 11_000)), {
      'orders_total:rate shop=a': 5,
      'latency_sum:rate': 0.1,
      ...gauges,
    })
    assert.deepEqual(metrics(read(series, text(20, 6), 21_000)), {
      'orders_total:rate shop=a': 2,
      'latency_sum:rate': 0,
      ...gauges,
    })
    // a scrape without them: what comes back is new
    read(series, '', 31_000)
    assert.deepEqual(metrics(read(series, text(20, 6), 41_000)), gauges)
    const again = read(series, text(30, 6), 51_000)
    assert.equal(again.events[0].attributes?.__name__, 'orders_total:rate')
  })

  test('rates of series with timestamps go by those', () => {
    const series = new Series({ ttl: 45, maxSeries: 10, rates: ['*'] })
    const rate = (text: string, nowMs: number) => metrics(read(series, text, nowMs))
    assert.deepEqual(rate('a_total 10 1000\n', 5_000), {})
    assert.deepEqual(rate('a_total 10 1000\n', 6_000), {}, 'the same figure once more')
    assert.deepEqual(rate('a_total 30 3000\n', 7_000), { 'a_total:rate': 10 })
  })

  test('bounds: so many series, so many labels, so long a service', () => {
    const many = Array.from({ length: 12 }, (_, i) => `a{n="${i}"} 1`).join('\n')
    const scraped = one(many, { maxSeries: 10 })
    assert.deepEqual([scraped.events.length, scraped.leftOut], [10, 2])
    assert.equal(scraped.events[9].service, 'a n=9')
    const labels = Array.from({ length: 65 }, (_, i) => `l${i}="1"`).join()
    assert.equal(one(`a{${labels}} 1\nb 2`).leftOut, 1)
    assert.deepEqual(metrics(one(`a{b="${'x'.repeat(1_030)}"} 1\nc 2`)), { c: 2 })
    // what is not kept anyway is not counted
    assert.equal(one(`a{${labels}} 1`, { drop: ['a'] }).leftOut, 0)
  })

  test('a body that is none gives nothing of itself, and rates go on from before', () => {
    const series = new Series({ ttl: 45, maxSeries: 10, rates: ['*'] })
    read(series, 'a_total 1\n', 0)
    assert.throws(() => read(series, 'a_total 5\noops\n', 1_000), /line 2/)
    assert.deepEqual(metrics(read(series, 'a_total 5\n', 2_000)), { 'a_total:rate': 2 })
  })
})
