#!/usr/bin/env node
// The `ricci` command: hands the process's surroundings to the program, and its exit code back.
import { runProgram } from './program.ts'

/** A server that prints outlives its output: the terminal, pipe or disk that took it may be gone or full. */
let lasting = false
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (lasting) return
  // `ricci watch … | head`: who read our output is gone, and there is nobody to tell
  if (error.code === 'EPIPE') process.exit(0)
  process.stderr.write(`ricci: the output could not be written: ${error.message}\n`)
  process.exit(1)
})
// where the log went to a full disk, say: it has the next lines again once there is room
process.stderr.on('error', () => undefined)

process.exitCode = await runProgram(process.argv.slice(2), {
  write: (text) => void process.stdout.write(text),
  print: (text) => {
    lasting = true
    return new Promise((resolve, reject) => {
      process.stdout.write(text, (error) => (error ? reject(error) : resolve()))
    })
  },
  complain: (text) => void process.stderr.write(text),
  env: process.env,
  interactive: process.stdout.isTTY === true,
  ...(process.stdout.columns > 0 && {
    screen: () => ({ columns: process.stdout.columns, rows: process.stdout.rows }),
  }),
  attended: process.stderr.isTTY === true,
  signals: process,
})
