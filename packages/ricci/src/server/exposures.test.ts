import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defaultConfig } from '../config/config.ts'
import { exposures } from './exposures.ts'

describe('what a configuration opens to other machines', () => {
  const config = defaultConfig('/etc/ricci')
  const [here, everywhere] = [
    { host: '127.0.0.1', port: 1 },
    { host: '0.0.0.0', port: 1 },
  ]
  for (const [listen, http, told] of [
    [{ tcp: here, http: here }, {}, []],
    [{ tcp: everywhere }, {}, ['tcp listens']],
    [{ tcp: here, http: everywhere }, {}, ['http listens', 'http HTTP']],
    [{ sse: everywhere }, { requireToken: true }, ['sse HTTP']],
    [{ http: everywhere }, { tls: true }, ['http listens']],
    [{ http: everywhere }, { tls: true, requireToken: true }, []],
  ] as const) {
    it(`${JSON.stringify({ ...listen, ...http })}: ${told.join(', ') || 'nothing'}`, () => {
      const found = exposures({ listen, http: { ...config.http, ...http } })
      assert.deepEqual(
        found.map(({ listener, text }) => `${listener} ${text.split(' ')[0]}`),
        told,
      )
    })
  }
})
