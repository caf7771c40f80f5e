import { after, before, describe } from 'node:test'
import { logConformance, RabbitCluster, without } from '@ricci/testkit'
import { nodeClock } from '../../server/node-clock.ts'
import { RabbitLog, type RabbitLogOptions } from './rabbit-log.ts'

let vhosts = 0

describe('RabbitLog', { skip: without('rabbitmq', 'erlang') }, () => {
  let rabbit: RabbitCluster
  before(async () => {
    rabbit = await RabbitCluster.start()
  })
  after(() => rabbit.stop())

  const options = async (more: Partial<RabbitLogOptions> = {}): Promise<RabbitLogOptions> => {
    const vhost = `log-${vhosts++}`
    await rabbit.vhost(vhost)
    const topology = { partitions: 2, ...more.topology }
    // a busy machine is no stall
    return { urls: rabbit.urls(vhost), name: 'test', clock: nodeClock, confirmMs: 20_000, ...more, topology }
  }

  logConformance('a log on RabbitMQ', async () => {
    const settings = await options()
    return {
      open: () => RabbitLog.open(settings),
      turn: () => new Promise((resolve) => nodeClock.setTimer(1, resolve)),
    }
  })
})
