// Loaded before every test file: once its last test has ended, nothing it opened may still be open. A socket, server, timer,
// child process or worker left behind makes the file fail and is named. The runner's --test-force-exit both brings about this
// check (without it the runner waits for the event loop to empty, for ever) and ends what leaked.
import { isMainThread } from 'node:worker_threads'

/** How long something that is just being closed may take to be gone. */
const closingMs = 1000
const pollMs = 10
/** Closing handles, and requests of the file system that end by themselves. */
const passing = /^(CloseReq|FSReq|ShutdownWrap|WriteWrap)/

// Processes and workers that a test starts inherit this preload; the check belongs to the test file's own main thread.
if (isMainThread && process.env.NODE_TEST_CONTEXT !== undefined && /\.test\.mjs$/.test(process.argv[1] ?? '')) {
  // Standard streams open lazily: open them now, so that they count as having been there.
  void process.stdout.writable
  void process.stderr.writable
  const before = process.getActiveResourcesInfo()
  const workers = new Set()
  process.on('worker', (worker) => {
    workers.add(worker)
    worker.on('exit', () => workers.delete(worker))
  })
  const left = () => {
    const open = process.getActiveResourcesInfo().filter((name) => !passing.test(name))
    for (const name of before) if (open.includes(name)) open.splice(open.indexOf(name), 1)
    return [...open, ...Array.from(workers, () => 'Worker')]
  }
  const { after } = await import('node:test')
  after(async () => {
    const end = performance.now() + closingMs
    do await new Promise((resolve) => setTimeout(resolve, pollMs))
    while (left().length > 0 && performance.now() < end)
    if (left().length === 0) return
    process.stderr.write(`Left open after the last test: ${left().join(', ')}. Close what a test opens.\n`)
    process.exitCode = 1
  })
}
