// The `ricci` command: hands the process's surroundings to the program, and its exit code back.
import { runProgram } from './program.ts'

process.exitCode = await runProgram(process.argv.slice(2), {
  write: (text) => void process.stdout.write(text),
  complain: (text) => void process.stderr.write(text),
  env: process.env,
  interactive: process.stdout.isTTY === true,
  signals: process,
})
