// Dashboards in a real browser, on a machine of their own as the guide has them: fed by WebSocket and by server-sent events, both of another origin.
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it, type TestContext } from 'node:test'
import { without } from '../servers/program.ts'
import { Browser, chromium, type Page } from './browser.ts'
import { Dash, withoutDash } from './dash.ts'
import { Guide } from './guide.ts'
import { Site } from './site.ts'

const tree = chromium()
const missing = 'missing' in tree ? tree.missing : without('openssl')

/** A page of a test's own, with the calls by which dashboards read Riemann's index: a line for each message. */
const plainPage = `<!doctype html><pre></pre><script>
  const show = ({ data }) => document.querySelector('pre').append(data + '\\n')
  const query = '/index?query=' + encodeURIComponent('service = "load"')
  new WebSocket('ws://ricci.example:5556' + query + '&subscribe=true').onmessage = show
  new EventSource('http://ricci.example:5558' + query).onmessage = show
</script>`

/** The rows of riemann-dash's grid as people see them. */
const grid = `Array.from(document.querySelectorAll('.grid tr'), (row) => Array.from(row.children, (cell) => cell.textContent))`

describe('dashboards in a browser', { skip: missing, timeout: 120_000 }, () => {
  const guide = new Guide()
  const configuration = guide.block('Move dashboards', 'json')
  let site: Site
  before(async () => {
    site = await Site.start(guide)
  })
  after(() => site?.close())

  /** A browser for which names lead where the guide has them, with a page of the dashboard's machine. */
  async function open(context: TestContext, dashboardPort: number): Promise<Page> {
    assert.ok(!('missing' in tree))
    const real = (port: number): string => `127.0.0.1:${port}`
    const names = {
      'dash.example:4567': real(dashboardPort),
      'ricci.example:5556': real(site.port('5556')),
      'ricci.example:5558': real(site.port('5558')),
    }
    const browser = await Browser.start(tree, names)
    context.after(() => browser.close())
    return browser.open('http://dash.example:4567/')
  }

  it('a page of another machine reads by WebSocket and by server-sent events', async (context) => {
    await site.client.send({ host: 'web-1', service: 'load', metric: 1, ttl: 600 })
    const server = createServer((_request, response) => response.setHeader('content-type', 'text/html').end(plainPage))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    context.after(() => close(server))
    const page = await open(context, (server.address() as AddressInfo).port)
    const told = `Array.from(document.body.textContent.matchAll(/"metric":(\\d)/g), ([, metric]) => metric).sort()`
    await page.until(told, ['1', '1'])
    await site.client.send({ host: 'web-1', service: 'load', metric: 2, ttl: 600 })
    await page.until(told, ['1', '1', '2', '2'])
    assert.deepEqual(page.errors, [])
  })

  for (const [type, port] of [
    ['ws', 5556],
    ['sse', 5558],
  ] as const)
    it(`riemann-dash’s own scripts show a grid, by ${type}`, { skip: withoutDash() }, async (context) => {
      const host = (name: string): string => `${name}-${type}`
      const send = (name: string, service: string, metric: number, ttl = 600): Promise<void> =>
        site.client.send({ host: host(name), service: `load ${service}`, metric, state: 'ok', ttl })
      await send('web-1', 'short', 0.25)
      await send('web-1', 'long', 12)
      await send('web-2', 'short', 3)
      const ours = { ...(JSON.parse(configuration) as object), server: `ricci.example:${port}`, server_type: type }
      const query = 'service =~ \\"load%\\"'
      const text = JSON.stringify(ours)
      assert.ok(text.includes(query))
      const dash = await Dash.start(text.replace(query, `${query} and host =~ \\"%-${type}\\"`))
      context.after(() => dash.close())
      const page = await open(context, dash.port)
      const heading = ['', 'long', 'short']
      await page.until(grid, [heading, [host('web-1'), '12', '0.25'], [host('web-2'), '', '3']])
      await send('web-2', 'long', 7)
      await send('web-1', 'short', 0.5)
      await page.until(grid, [heading, [host('web-1'), '12', '0.5'], [host('web-2'), '7', '3']])
      // for a second: then the scripts let go of it by themselves
      await send('web-3', 'short', 1, 1)
      await page.until(grid, [
        heading,
        [host('web-1'), '12', '0.5'],
        [host('web-2'), '7', '3'],
        [host('web-3'), '', '1'],
      ])
      await page.until(grid, [heading, [host('web-1'), '12', '0.5'], [host('web-2'), '7', '3']])
      assert.deepEqual(page.errors, [])
      // they connect again by themselves, and have what matches anew
      await site.stop()
      await site.again()
      await send('web-2', 'long', 8)
      await page.until(grid, [heading, [host('web-1'), '12', '0.5'], [host('web-2'), '8', '3']])
    })
})

function close(server: Server): Promise<void> {
  server.closeAllConnections()
  return new Promise((resolve) => server.close(() => resolve()))
}
