#!/usr/bin/env node
// The `ricci` command: hands the process's surroundings to the program, and its exit code back.
import { runProgram } from './program.ts'

// `ricci watch … | head`: who read our output is gone, and there is nobody to tell
process.stdout.on('error', () => process.exit(0))

process.exitCode = await runProgram(process.argv.slice(2), {
  write: (text) => void process.stdout.write(text),
  complain: (text) => void process.stderr.write(text),
  env: process.env,
  interactive: process.stdout.isTTY === true,
  signals: process,
})
