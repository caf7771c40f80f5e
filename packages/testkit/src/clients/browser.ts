/** A real browser without a window: Debian's Chromium, spoken to in its DevTools protocol. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import { debianTree, type DebianTree } from '../house/tools.ts'
import { removeFolder, serverFolder, ServerProcess } from '../servers/process.ts'
import { beforeDeadline } from '../servers/wait.ts'

const packageName = 'chromium-headless-shell'

/** Debian's package of it, or why it cannot be had. Throws in CI then. */
export function chromium(): DebianTree | { missing: string } {
  return debianTree(packageName)
}

/** No window of its own, no network but what a page asks for, and no sandbox, which root cannot have. */
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--no-first-run',
  '--window-size=1000,600',
  '--remote-debugging-port=0',
]

interface Answer {
  readonly id?: number
  readonly method?: string
  readonly params?: unknown
  readonly result?: unknown
  readonly error?: { readonly message: string }
}

/** A browser. Whoever starts one ends it. */
export class Browser {
  private id = 0
  private readonly waiting = new Map<number, (answer: Answer) => void>()
  private readonly listeners = new Set<(method: string, params: unknown) => void>()

  private constructor(
    private readonly folder: string,
    private readonly process: ServerProcess,
    private readonly socket: WebSocket,
  ) {
    socket.on('message', (data: Buffer) => this.read(JSON.parse(data.toString()) as Answer))
  }

  /**
   * Starts one.
   * @param addresses by `host:port` as pages say it, where that really is: what DNS does elsewhere
   * @throws Error with its output when it does not start
   */
  static async start(tree: DebianTree, addresses: Readonly<Record<string, string>>): Promise<Browser> {
    const folder = serverFolder('browser')
    const rules = Object.entries(addresses).map(([said, real]) => `MAP ${said} ${real}`)
    const libraries = [...tree.libraries, ...tree.libraries.map((one) => join(one, 'pulseaudio'))]
    const program = { file: join(tree.root, 'usr/lib/chromium', packageName), libraries }
    const words = [...flags, `--user-data-dir=${join(folder, 'profile')}`, `--host-resolver-rules=${rules.join(', ')}`]
    const process = new ServerProcess(program, words, { folder, env: { HOME: folder, ...fonts(tree, folder) } })
    try {
      const [url] = /ws:\S+/.exec(await process.logged(/^DevTools listening on ws:/))!
      const socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: 64 << 20 })
      await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
      return new Browser(folder, process, socket)
    } catch (error) {
      await process.end()
      removeFolder(folder)
      throw error
    }
  }

  /** Opens a page of its own; resolves once it has loaded. */
  async open(url: string): Promise<Page> {
    const { targetId } = await this.ask<{ targetId: string }>('Target.createTarget', { url: 'about:blank' })
    const attached = await this.ask<{ sessionId: string }>('Target.attachToTarget', { targetId, flatten: true })
    const page = new Page((method, params) => this.ask(method, params, attached.sessionId))
    this.listeners.add(page.note)
    await page.load(url)
    return page
  }

  /** Ends it and removes its files. */
  async close(): Promise<void> {
    this.socket.terminate()
    await this.process.end()
    removeFolder(this.folder)
  }

  private ask<T>(method: string, params: object, sessionId?: string): Promise<T> {
    const id = ++this.id
    return new Promise((resolve, reject) => {
      this.waiting.set(id, ({ result, error }) => {
        if (error === undefined) resolve(result as T)
        else reject(new Error(`${method}: ${error.message}`))
      })
      this.socket.send(JSON.stringify({ id, method, params, sessionId }))
    })
  }

  private read(answer: Answer): void {
    if (answer.id === undefined) {
      for (const tell of this.listeners) tell(answer.method!, answer.params)
      return
    }
    this.waiting.get(answer.id)?.(answer)
    this.waiting.delete(answer.id)
  }
}

/** A page in a browser. */
export class Page {
  /** What went wrong in it: exceptions, and what it wrote as errors. */
  readonly errors: string[] = []
  private loaded = (): void => undefined

  constructor(private readonly ask: <T>(method: string, params: object) => Promise<T>) {}

  async load(url: string): Promise<void> {
    const loaded = new Promise<void>((resolve) => (this.loaded = resolve))
    await this.ask('Runtime.enable', {})
    await this.ask('Page.enable', {})
    await this.ask('Page.navigate', { url })
    await loaded
  }

  /** What an expression gives in the page; a promise is waited for. @throws Error with what it throws */
  async evaluate<T>(expression: string): Promise<T> {
    const question = { expression, awaitPromise: true, returnByValue: true }
    const { result, exceptionDetails: thrown } = await this.ask<{
      result: { value: T }
      exceptionDetails?: { text: string; exception?: { description?: string } }
    }>('Runtime.evaluate', question)
    if (thrown !== undefined) throw new Error(thrown.exception?.description ?? thrown.text)
    return result.value
  }

  /**
   * Resolves once an expression over the page's document gives this, looked at whenever the document changes.
   * @throws Error with what it gives instead, when `withinMs` pass
   */
  async until<T>(expression: string, wanted: T, withinMs = 30_000): Promise<void> {
    const text = JSON.stringify(wanted)
    const there = this.evaluate(`new Promise((resolve) => {
      const observer = new MutationObserver(look)
      function look() { if (JSON.stringify(${expression}) === ${JSON.stringify(text)}) { observer.disconnect(); resolve(true) } }
      observer.observe(document, { subtree: true, childList: true, characterData: true, attributes: true })
      look()
    })`)
    if (await beforeDeadline(there, performance.now() + withinMs)) return
    const found = JSON.stringify(await this.evaluate(expression))
    throw new Error(
      `The page has shown ${found} for ${withinMs} ms, not ${text}; its errors: ${this.errors.join('\n')}`,
    )
  }

  readonly note = (method: string, params: unknown): void => {
    if (method === 'Page.loadEventFired') this.loaded()
    if (method === 'Runtime.exceptionThrown') this.errors.push(JSON.stringify(params))
    const { type, args } = params as { type?: string; args?: unknown }
    if (method === 'Runtime.consoleAPICalled' && type === 'error') this.errors.push(JSON.stringify(args))
  }
}

/** The fonts that came with it, which its libraries would look for in the machine's own folders. */
function fonts(tree: DebianTree, folder: string): Record<string, string> {
  const file = join(folder, 'fonts.conf')
  const cache = join(folder, 'fonts')
  mkdirSync(cache)
  const places = `<dir>${join(tree.root, 'usr/share/fonts')}</dir><cachedir>${cache}</cachedir>`
  writeFileSync(file, `<?xml version="1.0"?><fontconfig>${places}</fontconfig>`)
  return { FONTCONFIG_FILE: file }
}
