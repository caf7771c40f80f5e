// The OpenAPI document is one, tells of every route, and every route of a real server answers as it says.
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { serve } from '../http/testing.ts'
import { Bench } from './testing.ts'

interface Operation {
  readonly summary?: string
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { schema: object }>> }>>
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

const rules = `import { incident, index, rules, where } from 'ricci'
export default rules(index(), where('service = "cpu"', incident('cpu-high', { to: 'console' })))
`

async function serving(context: TestContext) {
  const bench = new Bench(rules)
  context.after(() => bench.close())
  const server = bench.server()
  const { http, tcp } = await server.start()
  await server.ready()
  await bench.client(tcp).send([{ host: 'a', service: 'cpu', state: 'critical', metric: 1, tags: ['x'] }])
  return `http://${http}`
}

/** The same schema, which also refuses what it does not tell of. */
function strict(schema: unknown): unknown {
  if (typeof schema !== 'object' || schema === null) return schema
  if (Array.isArray(schema)) return schema.map(strict)
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, strict(value)]))
  return 'properties' in inner && !('additionalProperties' in inner) ? { ...inner, additionalProperties: false } : inner
}

describe('the OpenAPI document', () => {
  it('is valid, and says of every route what it is for and what it answers', async () => {
    const { url, server } = await serve({})
    const document = (await (await fetch(`${url}/api/v1/openapi.json`)).json()) as Document
    const { valid, errors } = await new Validator().validate({ ...structuredClone(document) })
    assert.ok(valid, JSON.stringify(errors))
    const told = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, { summary, responses }]) => {
        assert.ok(summary, `${method} ${path} has no summary`)
        assert.ok(responses['200']?.content, `${method} ${path} does not say what it answers`)
        return `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`
      }),
    )
    const routes = [...server.routes.keys()].filter((route) => !route.startsWith('HEAD'))
    assert.deepEqual(told.sort(), routes.sort())
  })

  it('tells the truth of every answer', async (context) => {
    const url = await serving(context)
    const document = (await (await fetch(`${url}/api/v1/openapi.json`)).json()) as Document
    const ajv = new Ajv2020({ strict: false })
    const called = new Set<string>()
    const answeredAs = async (method: string, route: string, status: number, path = route, body?: object | string) => {
      called.add(`${method.toLowerCase()} ${route}`)
      const json = typeof body === 'object'
      const answer = await fetch(url + path, {
        method,
        ...(json && { headers: { 'content-type': 'application/json' } }),
        ...(body !== undefined && { body: json ? JSON.stringify(body) : body }),
      })
      const text = await answer.text()
      assert.equal(answer.status, status, `${method} ${path}: ${text}`)
      const { responses } = document.paths[route][method.toLowerCase()]
      const { content = {} } = responses[status] ?? responses.default
      const type = answer.headers.get('content-type')!.split(';')[0]
      assert.ok(content[type], `${method} ${path} answers ${type}, which is not told of`)
      const { schema } = content[type]
      if ((schema as { type?: string }).type === 'string') return undefined
      const value: unknown = JSON.parse(text)
      const validate = ajv.compile(strict(schema) as object)
      assert.ok(validate(value), `${method} ${path}: ${ajv.errorsText(validate.errors)} in ${text}`)
      return value
    }
    const query = encodeURIComponent('true')
    // its own incident is not there before the engine has applied the event
    await answeredAs('GET', '/api/v1/query', 200, `/api/v1/query?query=${query}&limit=1&cursor=`)
    const listed = await answeredAs('GET', '/api/v1/incidents', 200)
    assert.equal((listed as { incidents: { open: object[] } }).incidents.open.length, 1)
    await answeredAs('GET', '/api/v1/rules', 200)
    await answeredAs('GET', '/api/v1/rules/diff', 200)
    await answeredAs('POST', '/api/v1/rules/reload', 200, undefined, { dryRun: true, why: 'to see' })
    for (const path of ['/healthz', '/readyz', '/metrics', '/api/v1/status', '/api/v1/overview', '/api/v1/receivers'])
      await answeredAs('GET', path, 200)
    await answeredAs('GET', '/api/v1/query', 400)
    await answeredAs('POST', '/api/v1/receivers/{name}/test', 200, '/api/v1/receivers/console/test')
    await answeredAs('POST', '/api/v1/receivers/{name}/test', 404, '/api/v1/receivers/nobody/test', { why: 'to see' })
    await answeredAs('GET', '/api/v1/cluster', 404)
    await answeredAs('GET', '/api/v1/cluster/explain', 404, '/api/v1/cluster/explain?partition=0')
    await answeredAs('POST', '/api/v1/cluster/drain', 404, undefined, { instance: 'here', drain: true })
    for (const method of ['POST', 'PUT']) {
      await answeredAs(method, '/api/v1/events', 200, undefined, '{"host":"b","service":"disk","state":"ok"}')
      await answeredAs(method, '/events', 200, undefined, '{"host":"b","service":"disk","state":"ok"}')
    }
    await answeredAs('POST', '/api/v1/tokens', 200, undefined, { name: 'ci', role: 'viewer', expiresInMs: 60_000 })
    await answeredAs('POST', '/api/v1/tokens', 409, undefined, { name: 'ci', role: 'viewer' })
    await answeredAs('POST', '/api/v1/tokens/{name}/revoke', 200, '/api/v1/tokens/ci/revoke', { why: 'to see' })
    await answeredAs('GET', '/api/v1/tokens', 200)
    const [{ id }] = (listed as { incidents: { open: { id: string }[] } }).incidents.open
    const commands = '/api/v1/incidents/commands'
    await answeredAs('POST', commands, 200, commands, { command: 'acknowledge', incidents: [id] })
    await answeredAs('POST', commands, 404, commands, { command: 'acknowledge', incidents: ['nothing'] })
    await answeredAs('POST', '/api/v1/drill', 200, undefined, { to: 'console' })
    await answeredAs('POST', '/hooks/{receiver}', 404, '/hooks/console', {})
    const why = '?host=a&rule=cpu-high'
    await answeredAs('GET', '/api/v1/explain/silence', 200, `/api/v1/explain/silence${why}`)
    await answeredAs('GET', '/api/v1/explain/incident', 404, '/api/v1/explain/incident?incident=nothing')
    await answeredAs('GET', '/api/v1/log/{partition}', 200, '/api/v1/log/0?last=1&follow=false')
    const audit = await answeredAs('GET', '/api/v1/audit', 200)
    assert.equal((audit as { entries: object[] }).entries.length, 10)
    await answeredAs('GET', '/api/v1/openapi.json', 200)
    // these go on until who asks has had enough; their tests are beside them
    const endless = ['get /index', 'get /api/v1/watch']
    const told = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method} ${path}`),
    )
    assert.deepEqual([...called, ...endless].sort(), told.sort())
  })
})
