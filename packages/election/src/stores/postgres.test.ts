import { after, before, describe } from 'node:test'
import { electionStoreConformance, PostgresServer, without } from '@ricci/testkit'
import { postgres, type PostgresExpiry } from '../index.ts'

/** One server for all tests, each of which has a schema of its own. */
describe('postgres', { skip: without('postgres') }, () => {
  let server: PostgresServer
  let schemas = 0

  before(async () => {
    server = await PostgresServer.start({ fsync: false })
  })
  after(() => server.stop())

  /** A store on tables that nobody has made yet. */
  function suite(name: string, expiry: PostgresExpiry): void {
    electionStoreConformance(`postgres, ${name}`, async () => {
      const schema = `conformance_${++schemas}`
      return {
        servers: () => server.about(),
        // What is asked is the same with either expiry.
        ...(expiry === 'observed' && {
          counted: {
            url: server.url,
            protocol: 'postgres',
            reach: (url) => postgres({ url, schema: `${schema}_counted`, expiry }),
          },
        }),
        store: () => postgres({ url: server.url, schema, expiry }),
        removeName: async (group, name) => {
          await server.query(`delete from ${schema}.names where grp = '${group}' and name = '${name}'`)
        },
        endSession: async (_, session) => {
          await server.query(`delete from ${schema}.members where session = ${session}`)
        },
      }
    })
  }

  suite('by observation', 'observed')
  suite('by the database’s clock', 'database-clock')
})
