import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ElectionError } from '../../index.ts'
import { loadClient } from './connection.ts'
import { settingsOf, type PostgresOptions } from './options.ts'
import { postgresSchema } from './schema.ts'

describe('options of postgres', () => {
  it('takes a URL apart', () => {
    const cases: [string, Partial<ReturnType<typeof settingsOf>>][] = [
      ['postgres://host/data', { addresses: ['http://host'], database: 'data', user: undefined, password: undefined }],
      ['postgresql://u:p%40@h:5433/d', { addresses: ['http://h:5433'], user: 'u', password: 'p@', database: 'd' }],
      ['postgres://u@one,two:1,[::1]:2', { addresses: ['http://one', 'http://two:1', 'http://[::1]:2'], user: 'u' }],
      ['postgres+srv://_pg._tcp.example.org/d', { addresses: ['http+srv://_pg._tcp.example.org'] }],
      ['postgres://h/d?application_name=jobs', { applicationName: 'jobs', tls: undefined }],
      ['postgres://h/d?sslmode=verify-full', { applicationName: 'election', tls: {} }],
      ['postgres://h/d?sslmode=disable', { tls: undefined, schema: 'election', expiry: 'observed' }],
      ['postgres://u:a:b@h/', { user: 'u', password: 'a:b', database: undefined }],
    ]
    for (const [url, expected] of cases) {
      const found = settingsOf(url)
      assert.deepEqual(
        Object.fromEntries(Object.keys(expected).map((key) => [key, found[key as keyof typeof found]])),
        {
          ...expected,
        },
      )
    }
  })

  it('prefers options to the URL', () => {
    const { password, tls } = settingsOf({ url: 'postgres://u:p@h/d?sslmode=require', password: 'q', tls: false })
    assert.deepEqual([password, tls], ['q', undefined])
  })

  it('says what is wrong, without secrets', () => {
    const cases: [string | PostgresOptions, RegExp][] = [
      ['mysql://u:secret@h/d', /none of PostgreSQL/],
      ['postgres:///d', /none of PostgreSQL/],
      ['postgres://u:secret%zz@h/d', /%25/],
      ['postgres://h/d?sslmode=prefer', /sslmode is "prefer"/],
      ['postgres://h/d?options=x', /parameter options; known are sslmode, application_name/],
      [{ url: 'postgres://h', schema: 'a"b' }, /schema is/],
      [{ url: 'postgres://h', expiry: 'never' as 'observed' }, /expiry is "never"/],
    ]
    for (const [options, message] of cases) {
      assert.throws(
        () => settingsOf(options),
        (error: ElectionError) =>
          error.code === 'OPTION_INVALID' && message.test(error.message) && !error.message.includes('secret'),
      )
    }
    assert.throws(() => postgresSchema('1st'), { code: 'OPTION_INVALID' })
  })

  it('says what to install where pg is missing', async () => {
    const missing = loadClient(() => Promise.reject(new Error("Cannot find package 'pg'")))
    await assert.rejects(missing, { code: 'OPTION_INVALID', message: /npm install pg/ })
  })
})
