import {
  adjust,
  by,
  changedState,
  counter,
  fixedTimeWindow,
  fold,
  incident,
  index,
  type IndexView,
  type EventView,
  movingEventWindow,
  movingTimeWindow,
  notify,
  over,
  percentiles,
  rate,
  rollup,
  rules,
  shared,
  smap,
  stable,
  tagged,
  throttle,
  where,
  withFields,
} from '@ricci/engine'

/** Three times above the mean of the event's cluster in the round before. */
const farAbove = (event: EventView, index: IndexView): boolean =>
  event.metric > 3 * index.metric(event.attributes.cluster, `${event.service} mean`)

const toCluster = adjust.bind(undefined, (event) => ({ host: event.attributes.cluster }))

/** The fixed work that figures are compared with over time: seven rules, applied to every event. Do not thin it out. */
export default rules(
  // 1
  index(),
  // 2: changes of state, counted by state over all keys
  changedState({ init: 'ok' }, shared(by('state', counter()))),
  // 3: percentiles of latencies by cluster, 1,200 forks; the cluster stands for the host
  tagged('latency', by(['cluster', 'service'], percentiles(10, [0.5, 0.95, 0.99], toCluster(index())))),
  // 4: events a second by service
  by('service', withFields('metric', 1, rate(5, withFields('host', 'all', index())))),
  // 5: busy CPUs by host
  where(
    'service =~ "cpu%"',
    by(
      'host',
      movingTimeWindow(
        30,
        smap(
          fold.mean,
          over(0.9, throttle(1, 60, incident('cpu-busy', { bad: 'metric > 0.9', key: 'host', to: 'oncall' }))),
        ),
      ),
    ),
  ),
  // 6: latencies far above those of the cluster, 30,000 forks
  tagged(
    'latency',
    by(
      ['cluster', 'service'],
      fixedTimeWindow(
        10,
        smap(
          fold.mean,
          adjust((event) => ({ host: event.attributes.cluster, service: `${event.service} mean` }), index()),
        ),
      ),
    ),
    by(
      'service',
      by(
        'host',
        movingEventWindow(
          10,
          smap(
            fold.mean,
            stable(
              30,
              farAbove,
              where(
                farAbove,
                rollup(3, 300, incident('latency-high', { bad: 'true', key: ['host', 'service'], to: 'oncall' })),
              ),
            ),
          ),
        ),
      ),
    ),
  ),
  // 7
  where('state = "critical"', rollup(5, 3600, notify('oncall'))),
)
