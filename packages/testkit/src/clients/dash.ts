/**
 * riemann-dash's own scripts, unedited, served as its program does. They are no part of Ricci, and no registry that tests may use has them: who has the gem
 * unpacks it into `.cache/riemann-dash`.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize } from 'node:path'

const folder = '.cache/riemann-dash/lib/riemann/dash'

/** SHA-256 over all scripts of version 0.2.14, as {@link digestOf} makes it. */
const published = '73a5eca7c9986e9417f7e7e1555a81c13c680f1efea5e2cb627238d07f122c3d'

const types: Readonly<Record<string, string>> = {
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
}

/** Why it cannot be had here; undefined where it is. @throws Error when a script is not as it was published */
export function withoutDash(): string | undefined {
  if (!existsSync(folder)) return 'riemann-dash is not in .cache/riemann-dash: unpack its gem, version 0.2.14, there'
  const digest = digestOf(join(folder, 'public'))
  if (digest === published) return undefined
  throw new Error(`The scripts in ${folder} are not those of riemann-dash 0.2.14: their digest is ${digest}.`)
}

/** Serves the page, and keeps its configuration in memory. */
export class Dash {
  private constructor(
    private readonly server: Server,
    /** What its page loads and saves. */
    private configuration: string,
  ) {}

  static async start(configuration: string): Promise<Dash> {
    const server = createServer()
    const dash = new Dash(server, configuration)
    server.on('request', (request, response) => {
      const { pathname } = new URL(request.url!, 'http://dash')
      const [type, body] = dash.answer(pathname)
      response.writeHead(type === undefined ? 404 : 200, type === undefined ? {} : { 'content-type': type }).end(body)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return dash
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  close(): Promise<void> {
    this.server.closeAllConnections()
    return new Promise((resolve) => this.server.close(() => resolve()))
  }

  private answer(path: string): [type?: string, body?: string | Buffer] {
    if (path === '/') return ['text/html', readFileSync(join(folder, 'views/index.erubis'))]
    if (path === '/config') return ['application/json', this.configuration]
    const file = join(folder, 'public', normalize(path))
    return existsSync(file) && statSync(file).isFile() ? [types[extname(file)] ?? 'text/plain', readFileSync(file)] : []
  }
}

function digestOf(root: string): string {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.js'))
  const hash = createHash('sha256')
  for (const file of files.sort())
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(join(root, file)))
  return hash.digest('hex')
}
